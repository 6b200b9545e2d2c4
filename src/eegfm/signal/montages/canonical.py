"""Canonical montages, to which adapters map the channels of every corpus."""

import math
from functools import cache
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator

from eegfm.recording import Montage
from eegfm.signal.montages.layouts import Layout, electrode_table, is_scalp
from eegfm.signal.montages.splines import template_sphere

CanonicalName = Literal["1020_19", "1020_21", "1010_64", "gsn_129"]
"""``1020_19`` the scalp electrodes of the 10-20 system, ``1020_21`` these and the ears, ``1010_64`` the cap of BCI2000
(eegmmidb), ``gsn_129`` the HydroCel net of HBN with its vertex."""

# fmt: off
_1020 = (
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2",
)
_1010 = (
    "Fp1", "Fpz", "Fp2", "AF7", "AF3", "AFz", "AF4", "AF8", "F7", "F5", "F3", "F1", "Fz", "F2", "F4", "F6", "F8",
    "FT7", "FC5", "FC3", "FC1", "FCz", "FC2", "FC4", "FC6", "FT8", "T9", "T7", "C5", "C3", "C1", "Cz", "C2", "C4", "C6",
    "T8", "T10", "TP7", "CP5", "CP3", "CP1", "CPz", "CP2", "CP4", "CP6", "TP8", "P7", "P5", "P3", "P1", "Pz", "P2",
    "P4", "P6", "P8", "PO7", "PO3", "POz", "PO4", "PO8", "O1", "Oz", "O2", "Iz",
)
# fmt: on
_GSN = (*(f"E{k}" for k in range(1, 129)), "Cz")
_ELECTRODES: dict[CanonicalName, tuple[Layout, tuple[str, ...]]] = {
    "1020_19": ("1005", _1020),
    "1020_21": ("1005", (*_1020, "A1", "A2")),
    "1010_64": ("1005", _1010),
    "gsn_129": ("gsn129", _GSN),
}
_NUMBERS: dict[object, str] = {int(name): name for name in _ELECTRODES if name[0].isdigit()}
_LOWEST = -0.1  # height of the lowest spread channel over the radius, about that of the ring of Fpz, T7, Oz and T8


def spelt_name(value: object) -> object:
    """Restore ``1020_19`` from the number 102019, which YAML and the command line make of it."""
    return _NUMBERS.get(value, value) if isinstance(value, int) else value


CanonicalChoice = Annotated[CanonicalName, BeforeValidator(spelt_name)]
"""A canonical name as a field of a configuration."""


@cache
def canonical_montage(name: CanonicalName) -> Montage:
    """The montage of this name, in the order of its layout. It has no recording, so its reference is unknown."""
    layout, names = _ELECTRODES[name]
    electrodes = sorted((electrode_table(layout)[n] for n in names), key=lambda e: e.order)
    return Montage(
        channel_names=tuple(e.name for e in electrodes),
        positions_m=tuple(e.position_m for e in electrodes),
        is_scalp=is_scalp([e.name for e in electrodes], layout),
        reference="unknown",
    )


@cache
def spread_montage(n_channels: int) -> Montage:
    """Virtual channels ``V1``, ``V2``, … spread evenly over the scalp of the 10-05 template.

    They lie on a Fibonacci lattice (González 2010, Mathematical Geosciences 42:49, DOI 10.1007/s11004-009-9257-x).
    """
    k = np.arange(n_channels)
    z = 1 - (k + 0.5) / n_channels * (1 - _LOWEST)
    azimuth = k * math.pi * (3 - math.sqrt(5))
    ring = np.sqrt(1 - z**2)
    sphere = template_sphere("1005")
    points = sphere.centre_m + sphere.radius_m * np.stack((ring * np.cos(azimuth), ring * np.sin(azimuth), z), axis=1)
    return Montage(
        channel_names=tuple(f"V{i + 1}" for i in range(n_channels)),
        positions_m=tuple((float(x), float(y), float(z)) for x, y, z in points),
        is_scalp=(True,) * n_channels,
        reference="unknown",
    )
