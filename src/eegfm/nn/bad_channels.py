"""Matrices that leave bad channels out of the reference, or replace them by splines.

Shapes: B windows, C channels as stored, K channels that come out.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eegfm.errors import ConfigError
from eegfm.nn.device import sent
from eegfm.recording import BadChannels, Montage
from eegfm.signal.montages.splines import directions, spline_matrix

_N_CACHED = 16_384  # recordings, of which each takes kilobytes; a spline through 128 electrodes takes a millisecond


class Repaired(NamedTuple):
    """Matrices that re-reference windows with bad channels.

    Args:
        matrix: (B, K, C) float32; rows of masked channels are zero.
        is_real: (B, K), False for a channel that depends on a bad one; on the CPU.
    """

    matrix: Tensor
    is_real: NDArray[np.bool_]


class Repair:
    """Re-reference windows of one montage without their bad channels.

    ``mask`` leaves bad channels out of the average and masks them, and the derivations that they take part in.
    ``interpolate`` first puts in their place what splines through the good scalp electrodes say (Perrin et al. 1989, as
    in MNE's ``interpolate_bads``); the average is over all then. Electrodes off the scalp, such as ears, are masked
    either way: no spline reaches them.

    Args:
        montage: Channels as stored.
        matrix: (K, C), what re-references recordings without bad channels.
        handling: Treatment of bad channels.
        is_average: Whether ``matrix`` subtracts the average over the scalp.
        name: Name of the montage for messages.
    """

    def __init__(self, montage: Montage, matrix: Tensor, handling: BadChannels, *, is_average: bool, name: str) -> None:
        self._montage, self._handling, self._is_average, self._name = montage, handling, is_average, name
        self._is_scalp = np.array(montage.is_scalp, dtype=np.bool_)
        # Which electrodes each channel that comes out cannot do without; the average can do without any.
        self._needs = np.eye(montage.n_channels) if is_average else (matrix != 0).numpy().astype(np.float64)

    def real(self, is_bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(B, K) channels that hold signal, from (B, C) bad ones.

        Raises:
            ConfigError: A window has no good scalp electrode to average over or to interpolate from, or no channel
                left.
        """
        if self._is_average or self._handling == "interpolate":
            self._refuse_nothing_left(~is_bad & self._is_scalp, is_bad, "good scalp electrode")
        is_real = self._is_real(is_bad)
        self._refuse_nothing_left(is_real, is_bad, "channel")
        return is_real

    def has_nothing_left(self, is_bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(B,) windows that ``real`` refuses."""
        has_channel = self._is_real(is_bad).any(axis=1)
        if self._is_average or self._handling == "interpolate":
            has_channel &= (~is_bad & self._is_scalp).any(axis=1)
        return np.asarray(~has_channel)

    def __call__(self, matrix: Tensor, is_bad: NDArray[np.bool_]) -> Repaired:
        """Matrices of windows, made without waiting for the device.

        Args:
            matrix: As at construction, on the device of the windows.
            is_bad: (B, C).

        Raises:
            ConfigError: See ``real``.
        """
        is_real = self.real(is_bad)
        device, dtype = matrix.device, matrix.dtype
        filled = torch.diag_embed(sent(torch.from_numpy(~is_bad), device).to(dtype))
        if self._handling == "interpolate":
            rows = [_spline_rows(self._montage, window.tobytes()) for window in is_bad]
            windows, channels = map(torch.from_numpy, np.nonzero(is_bad & self._is_scalp))
            values = sent(torch.from_numpy(np.concatenate(rows)), device).to(dtype)
            filled[sent(windows, device), sent(channels, device)] = values
        if self._is_average:
            averaged = sent(torch.from_numpy(self._is_usable(is_bad) & self._is_scalp), device).to(dtype)
            n_averaged = averaged.sum(dim=1, keepdim=True) + float(is_absent_cz(self._montage))
            repaired = filled.sub_((averaged / n_averaged).unsqueeze(1) @ filled)
        else:
            repaired = matrix @ filled
        is_absent = sent(torch.from_numpy(~is_real), device)
        return Repaired(repaired.masked_fill_(is_absent.unsqueeze(-1), 0.0), is_real)

    def _is_real(self, is_bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.asarray(~self._is_usable(is_bad) @ self._needs.T == 0)

    def _is_usable(self, is_bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(B, C) electrodes that hold signal, of their own or interpolated."""
        return ~is_bad | self._is_scalp if self._handling == "interpolate" else ~is_bad

    def _refuse_nothing_left(self, is_left: NDArray[np.bool_], is_bad: NDArray[np.bool_], what: str) -> None:
        empty = np.flatnonzero(~np.any(is_left, axis=1))
        if not len(empty):
            return
        bad = [self._montage.channel_names[c] for c in np.flatnonzero(is_bad[empty[0]])]
        raise ConfigError(
            f"montage {self._name}: a recording has no {what} left; bad are {', '.join(bad)[:200]}; set reference: "
            "average and bad_channels: interpolate, or leave the recording out"
        )


def is_absent_cz(montage: Montage) -> bool:
    """True if Cz is the reference and no channel. Its potential is zero and still counts in the average."""
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
