"""Electrode layouts: names, order and positions of the electrodes of each system, net and cap."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Literal, NamedTuple

# fmt: off
Layout = Literal[
    "1005",
    "gsn32", "gsn64", "gsn65", "gsn128", "gsn129", "gsn256", "gsn257",
    "biosemi16", "biosemi32", "biosemi64", "biosemi128", "biosemi160", "biosemi256",
]
# fmt: on
"""Electrode layouts: the 10-05 system, EGI's HydroCel geodesic nets, BioSemi's caps.

BioSemi's caps of 16, 32 and 64 have names of the 10-20 system at BioSemi's own positions. The larger caps are named
radially from the vertex (A1).
"""

MNE_MONTAGES: dict[Layout, str] = {
    "1005": "colin27_1005",
    "gsn32": "GSN-HydroCel-32",
    "gsn64": "GSN-HydroCel-64_1.0",
    "gsn65": "GSN-HydroCel-65_1.0",
    "gsn128": "GSN-HydroCel-128",
    "gsn129": "GSN-HydroCel-129",
    "gsn256": "GSN-HydroCel-256",
    "gsn257": "GSN-HydroCel-257",
    "biosemi16": "biosemi16",
    "biosemi32": "biosemi32",
    "biosemi64": "biosemi64",
    "biosemi128": "biosemi128",
    "biosemi160": "biosemi160",
    "biosemi256": "biosemi256",
}
CAPS: dict[Layout, int] = {
    "biosemi16": 16,
    "biosemi32": 32,
    "biosemi64": 64,
    "biosemi128": 128,
    "biosemi160": 160,
    "biosemi256": 256,
}
"""Electrodes of BioSemi's caps, the smallest cap first."""
RADIAL_LAYOUTS: frozenset[Layout] = frozenset({"biosemi128", "biosemi160", "biosemi256"})
# The 10-20 system of 1958 and the 10-10 system have different names for the same four positions.
MODERN_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
# Ears and mastoids carry no scalp signal. (A1 and A2 of a radial layout are at the vertex.)
NOT_SCALP = frozenset({"A1", "A2", "M1", "M2"})
_BANK_SIZE = 32
_RAW_NAME = re.compile(r"([A-I])0*([1-9]|[12]\d|3[0-2])", re.IGNORECASE)


class Electrode(NamedTuple):
    """One electrode of a layout: its name, its rank in store order, its position in the head frame."""

    name: str
    order: int
    position_m: tuple[float, float, float]


@cache
def electrode_table(layout: Layout) -> dict[str, Electrode]:
    """All electrodes of a layout by canonical name; positions from MNE's montage, head frame, metres.

    MNE's 10-05 table also holds the old names. Here every position occurs once, by its modern name.
    """
    import mne

    montage = mne.channels.make_standard_montage(MNE_MONTAGES[layout])
    positions = mne.channels.transform_to_head(montage).get_positions()["ch_pos"]
    names = [name for name in montage.ch_names if name not in MODERN_NAMES]
    return {
        name: Electrode(name, order, (float(x), float(y), float(z)))
        for order, name in enumerate(names)
        for x, y, z in [positions[name]]
    }


def raw_name(text: str) -> str | None:
    """Name of an amplifier's input in BioSemi's way (``A1``, ``b07`` is ``B7``); None for other text.

    Banks A to H of 32 inputs belong to caps. No cap has bank I, and its inputs are not the inion (I1, I2).
    """
    match = _RAW_NAME.fullmatch(text)
    return f"{match[1].upper()}{match[2]}" if match else None


@cache
def raw_names(layout: Layout) -> dict[str, str]:
    """Electrode at each input of a BioSemi cap, in the order of the inputs: ``B1`` is Fpz in the cap of 64.

    Electrodes are plugged in the order of MNE's montage, which is that of BioSemi's drawings of the caps.
    """
    inputs = (f"{bank}{k}" for bank in "ABCDEFGH" for k in range(1, _BANK_SIZE + 1))
    return dict(zip(inputs, electrode_table(layout), strict=False))


def is_scalp(names: Iterable[str], layout: Layout) -> tuple[bool, ...]:
    """Per electrode of a layout, whether it lies on the scalp, and not on or behind an ear."""
    return tuple(layout in RADIAL_LAYOUTS or name not in NOT_SCALP for name in names)
