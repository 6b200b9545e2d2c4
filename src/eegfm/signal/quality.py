"""What a signal itself tells about its quality: flat, clipped, non-finite, ending in a constant."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Amplifier noise alone is a hundred times as large.
FLAT_UV = 1e-3
# A share of samples at exactly the highest or lowest value that saturation reaches and EEG does not.
CLIPPED_RATIO = 0.01
CONSTANT_TAIL_S = 1.0


def flat_channels(blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Whether each channel is flat in all filtered blocks.

    Args:
        blocks: (T, C) microvolts each.

    Returns:
        (C,) True for flat.
    """
    peaks = np.stack([np.abs(block).max(axis=0) for block in blocks])
    flat: NDArray[np.bool_] = (peaks < FLAT_UV).all(axis=0)
    return flat


class QualityWatch:
    """Watches the raw samples of a recording pass by, block by block.

    Args:
        channel_names: Names of the channels, for the flags.
        rate_hz: Rate of the samples.
    """

    def __init__(self, channel_names: Sequence[str], rate_hz: float) -> None:
        n = len(channel_names)
        self._names = tuple(channel_names)
        self._rate_hz = rate_hz
        self._n_samples = 0
        self._n_tail = 0
        self._lowest = np.full(n, np.inf, dtype=np.float32)
        self._highest = np.full(n, -np.inf, dtype=np.float32)
        self._n_lowest = np.zeros(n, dtype=np.int64)
        self._n_highest = np.zeros(n, dtype=np.int64)
        self._last = np.full(n, np.nan, dtype=np.float32)
        self.n_non_finite = 0

    def add(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take note of the next (C, T) samples.

        Returns:
            The samples with zeros in place of non-finite values, which one FFT would spread over a block.
        """
        bad = ~np.isfinite(block)
        if bad.any():
            self.n_non_finite += int(bad.sum())
            block = np.where(bad, np.float32(0), block)
        if block.shape[1]:
            self._n_samples += block.shape[1]
            self._count_extremes(block)
            self._follow_tail(block)
        return block

    def _count_extremes(self, block: NDArray[np.float32]) -> None:
        for values, is_new, extreme, count in (
            (block.max(axis=1), np.greater, self._highest, self._n_highest),
            (block.min(axis=1), np.less, self._lowest, self._n_lowest),
        ):
            at_extreme = np.count_nonzero(block == values[:, None], axis=1)
            new = is_new(values, extreme)
            count[:] = np.where(new, at_extreme, count + at_extreme * (values == extreme))
            extreme[new] = values[new]

    def _follow_tail(self, block: NDArray[np.float32]) -> None:
        """Count the samples since any channel last changed."""
        joined = np.concatenate([self._last[:, None], block], axis=1)
        changes = np.flatnonzero((joined[:, 1:] != joined[:, :-1]).any(axis=0))
        n = block.shape[1]
        self._n_tail = n - int(changes[-1]) if changes.size else self._n_tail + n
        self._last = block[:, -1].copy()

    @property
    def clipped_ratio(self) -> NDArray[np.float64]:
        """(C,) share of samples at exactly the channel's highest or lowest value; 0 for a flat channel."""
        counts = np.where(self._is_flat, 0, np.maximum(self._n_highest, self._n_lowest))
        return counts / max(self._n_samples, 1)

    @property
    def _is_flat(self) -> NDArray[np.bool_]:
        # Any finite range is below the threshold only when samples were seen at all.
        with np.errstate(invalid="ignore"):
            return ~(self._highest - self._lowest >= FLAT_UV)

    def flags(self) -> tuple[str, ...]:
        """Flags in fixed order: ``flat:<channel>``, ``clipped:<channel>``, ``non_finite``, ``constant_tail``."""
        flat = [f"flat:{name}" for name, bad in zip(self._names, self._is_flat, strict=True) if bad]
        over = self.clipped_ratio > CLIPPED_RATIO
        clipped = [f"clipped:{name}" for name, bad in zip(self._names, over, strict=True) if bad]
        others = []
        if self.n_non_finite:
            others.append("non_finite")
        if len(flat) < len(self._names) and self._n_tail > CONSTANT_TAIL_S * self._rate_hz:
            others.append("constant_tail")
        return (*flat, *clipped, *others)
