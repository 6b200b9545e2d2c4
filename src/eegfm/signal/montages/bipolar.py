"""The bipolar derivation of the TUH corpora: 22 differences of neighbouring electrodes, as one matrix.

Order and electrodes follow the montage files that are published with the corpora (Ferrell et al. 2020, "Electrode
Location and Channel Labels"). TUEV's annotations name a derivation by its index in this order.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import EegfmError
from eegfm.recording import Montage
from eegfm.signal.montages.electrodes import clean_label, duplicate_electrodes, ten_twenty_names

# fmt: off
TCP_PAIRS: tuple[tuple[str, str], ...] = (
    ("FP1", "F7"), ("F7", "T3"), ("T3", "T5"), ("T5", "O1"),
    ("FP2", "F8"), ("F8", "T4"), ("T4", "T6"), ("T6", "O2"),
    ("A1", "T3"), ("T3", "C3"), ("C3", "CZ"), ("CZ", "C4"), ("C4", "T4"), ("T4", "A2"),
    ("FP1", "F3"), ("F3", "C3"), ("C3", "P3"), ("P3", "O1"),
    ("FP2", "F4"), ("F4", "C4"), ("C4", "P4"), ("P4", "O2"),
)
# fmt: on
"""Anode and cathode of each derivation, by index, in the spelling of the corpora."""


class TcpDerivation(NamedTuple):
    """The derivations, out of 22, that a recording's electrodes allow.

    Args:
        matrix: (K, C); ``matrix @ signal_uv`` of (C, T) referential microvolts gives (K, T) bipolar ones.
        names: Name of each row, e.g. ``"FP1-F7"``.
        indices: Index of each row among the 22. Recordings without ears have 20 rows; their indices stay the same.
    """

    matrix: NDArray[np.float32]
    names: tuple[str, ...]
    indices: tuple[int, ...]


class BipolarMontage(NamedTuple):
    """The derivations of a montage as channels of their own.

    Args:
        matrix: (K, C), as in ``TcpDerivation``.
        montage: One channel per derivation, halfway between its electrodes; on the scalp if both electrodes are.
        second_positions_m: (K, 3) position of each derivation's second electrode, which is subtracted.
    """

    matrix: NDArray[np.float32]
    montage: Montage
    second_positions_m: NDArray[np.float32]


def tcp_pair(index: int) -> tuple[str, str]:
    """Anode and cathode of a derivation, e.g. ``("FP1", "F7")`` for 0.

    Raises:
        EegfmError: There is no such index.
    """
    if not 0 <= index < len(TCP_PAIRS):
        raise EegfmError(f"TCP derivation {index} does not exist; 0 to {len(TCP_PAIRS) - 1} do")
    return TCP_PAIRS[index]


def tcp_name(index: int) -> str:
    """Name of a derivation as annotations write it, e.g. ``"FP1-F7"`` for 0.

    Raises:
        EegfmError: There is no such index.
    """
    return "-".join(tcp_pair(index))


def tcp_matrix(channel_names: Sequence[str]) -> TcpDerivation:
    """Derive the bipolar channels that the given electrodes allow.

    The reference cancels if it is the same for all channels.

    Args:
        channel_names: C names, of a store (``Fp1``, ``T7``) or of a file (``EEG FP1-REF``, ``EEG T3-LE``), in the
            order of the signal's rows. Channels that are no electrode of a derivation are ignored.

    Raises:
        EegfmError: Two channels are the same electrode.
    """
    twice = duplicate_electrodes(channel_names)
    if twice:
        raise EegfmError(f"more than one channel is {', '.join(twice)}; leave out the extra one")
    columns = {name: column for column, name in enumerate(ten_twenty_names(channel_names)) if name}
    found = [(index, [columns.get(clean_label(name) or "") for name in pair]) for index, pair in enumerate(TCP_PAIRS)]
    present = [(index, anode, cathode) for index, (anode, cathode) in found if None not in (anode, cathode)]
    matrix = np.zeros((len(present), len(channel_names)), dtype=np.float32)
    for row, (_, anode, cathode) in enumerate(present):
        matrix[row, anode], matrix[row, cathode] = 1.0, -1.0
    indices = tuple(index for index, _, _ in present)
    return TcpDerivation(matrix, tuple(tcp_name(index) for index in indices), indices)


def tcp_montage(montage: Montage) -> BipolarMontage:
    """The derivations that a montage's electrodes allow; none if it has no pair of electrodes."""
    derived = tcp_matrix(montage.channel_names)
    positions_m = np.asarray(montage.positions_m, dtype=np.float64).reshape(-1, 3)
    first, second = (derived.matrix == 1.0), (derived.matrix == -1.0)
    is_scalp = np.array(montage.is_scalp, dtype=bool)
    middle_m = (first @ positions_m + second @ positions_m) / 2
    channels = Montage(
        channel_names=derived.names,
        positions_m=tuple((float(x), float(y), float(z)) for x, y, z in middle_m),
        is_scalp=tuple(bool(off_scalp == 0) for off_scalp in (first | second) @ (~is_scalp).astype(int)),
        reference=montage.reference,
        is_digitized=montage.is_digitized,
    )
    return BipolarMontage(derived.matrix, channels, (second @ positions_m).astype(np.float32))


def is_bipolar(montage: Montage) -> bool:
    """True if channels are differences of two electrodes. Only such channels have a hyphen in their names."""
    return any("-" in name for name in montage.channel_names)
