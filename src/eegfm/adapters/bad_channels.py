"""What is done with bad channels: matrices that leave them out of the reference, or put splines in their place.

Shapes: B windows, C channels as stored, K channels that come out.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eegfm.errors import ConfigError
from eegfm.recording import BadChannels, Montage
from eegfm.signal.splines import directions, spline_matrix

_N_CACHED = 16_384  # recordings, of which each takes kilobytes; a spline through 128 electrodes takes a millisecond


class Repair(NamedTuple):
    """Matrices of windows with bad channels.

    Args:
        matrix: (B, K, C) float32; rows of masked channels are zero.
        mask: (B, K) bool, False for a channel that depends on a bad one.
    """

    matrix: Tensor
    mask: Tensor


def repair(
    montage: Montage, matrix: Tensor, is_bad: NDArray[np.bool_], handling: BadChannels, *, is_average: bool, name: str
) -> Repair:
    """Re-reference without bad channels.

    ``mask`` leaves bad channels out of the average and masks them, and the derivations that they take part in.
    ``interpolate`` first puts in their place what splines through the good scalp electrodes say (Perrin et al. 1989, as
    in MNE's ``interpolate_bads``); the average is over all then. Electrodes off the scalp, such as ears, are masked
    either way: no spline reaches them.

    Args:
        montage: Channels as stored.
        matrix: (K, C), what re-references recordings without bad channels.
        is_bad: (B, C).
        handling: What to do.
        is_average: Whether ``matrix`` subtracts the average over the scalp.
        name: Of the montage, for messages.

    Raises:
        ConfigError: A window has no good scalp electrode to average over or to interpolate from, or no channel left.
    """
    is_scalp = np.array(montage.is_scalp, dtype=np.bool_)
    usable = ~is_bad | is_scalp if handling == "interpolate" else ~is_bad
    if is_average or handling == "interpolate":
        _refuse_nothing_left(~is_bad & is_scalp, montage, is_bad, name, "good scalp electrode")
    filled = torch.diag_embed(torch.from_numpy(~is_bad).to(matrix))
    if handling == "interpolate":
        windows, channels = np.nonzero(is_bad & is_scalp)
        rows = [_spline_rows(montage, window.tobytes()) for window in is_bad]
        filled[windows, channels] = torch.from_numpy(np.concatenate(rows)).to(matrix)
    if is_average:
        averaged = torch.from_numpy(usable & is_scalp).to(matrix)
        n_averaged = averaged.sum(dim=1, keepdim=True) + float(is_absent_cz(montage))
        mean = (averaged / n_averaged).unsqueeze(1) @ filled
        repaired, is_real = filled.sub_(mean), usable
    else:
        needed = (matrix != 0).cpu().numpy()
        repaired, is_real = matrix @ filled, np.all(usable[:, None] | ~needed, axis=2)
    _refuse_nothing_left(is_real, montage, is_bad, name, "channel")
    repaired[np.nonzero(~is_real)] = 0.0
    return Repair(repaired, torch.from_numpy(is_real).to(matrix.device))


def is_absent_cz(montage: Montage) -> bool:
    """Whether Cz is the reference and no channel: its potential is zero and counts in the average all the same."""
    return montage.reference == "Cz" and "Cz" not in montage.channel_names


@lru_cache(maxsize=_N_CACHED)
def _spline_rows(montage: Montage, is_bad: bytes) -> NDArray[np.float32]:
    """(n, C) one row for each bad scalp electrode, in the order of the channels."""
    bad, is_scalp = np.frombuffer(is_bad, dtype=np.bool_), np.array(montage.is_scalp, dtype=np.bool_)
    places, sources = directions(montage), ~bad & is_scalp
    rows = np.zeros((int((bad & is_scalp).sum()), montage.n_channels), dtype=np.float32)
    if len(rows):
        rows[:, sources] = spline_matrix(places[sources], places[bad & is_scalp])
    return rows


def _refuse_nothing_left(
    is_left: NDArray[np.bool_], montage: Montage, is_bad: NDArray[np.bool_], name: str, what: str
) -> None:
    """Of each window (B, ...) something must be left."""
    empty = np.flatnonzero(~np.any(is_left, axis=1))
    if not len(empty):
        return
    bad = [montage.channel_names[c] for c in np.flatnonzero(is_bad[empty[0]])]
    raise ConfigError(
        f"montage {name}: a recording has no {what} left; bad are {', '.join(bad)[:200]}; set reference: average and "
        "bad_channels: interpolate, or leave the recording out"
    )
