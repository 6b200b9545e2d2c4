"""What a signal itself tells about its quality: flat, clipped, non-finite, ending in a constant."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Amplifier noise alone is a hundred times as large.
FLAT_UV = 1e-3
# A share of samples at exactly the highest or lowest value that saturation reaches and EEG does not.
CLIPPED_RATIO = 0.01
CONSTANT_TAIL_S = 1.0
TAIL_GLANCE = 64


def flat_channels(blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Whether each channel is flat in all filtered blocks.

    Args:
        blocks: (T, C) microvolts each.

    Returns:
        (C,) True for flat.
    """
    peaks = np.stack([np.abs(block).max(axis=0) for block in blocks])
    return np.asarray(peaks.max(axis=0) < FLAT_UV)


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
        if not block.shape[1]:
            return block
        highest, lowest = block.max(axis=1), block.min(axis=1)
        if not (np.isfinite(highest).all() and np.isfinite(lowest).all()):
            bad = ~np.isfinite(block)
            self.n_non_finite += int(bad.sum())
            block = np.where(bad, np.float32(0), block)
            highest, lowest = block.max(axis=1), block.min(axis=1)
        self._n_samples += block.shape[1]
        self._count_extreme(block, highest, highest - self._highest, self._highest, self._n_highest)
        self._count_extreme(block, lowest, self._lowest - lowest, self._lowest, self._n_lowest)
        self._follow_tail(block)
        return block

    @staticmethod
    def _count_extreme(
        block: NDArray[np.float32],
        values: NDArray[np.float32],
        beyond: NDArray[np.float32],
        extreme: NDArray[np.float32],
        count: NDArray[np.int64],
    ) -> None:
        """Update extremes and their counts; most blocks reach no extreme and cost nothing here."""
        for channel in np.flatnonzero(beyond >= 0):
            here = int(np.count_nonzero(block[channel] == values[channel]))
            count[channel] = here + (count[channel] if beyond[channel] == 0 else 0)
            extreme[channel] = values[channel]

    def _follow_tail(self, block: NDArray[np.float32]) -> None:
        """Count the samples since any channel last changed; the end of a block nearly always tells."""
        n = block.shape[1]
        before = self._last[:, None]
        self._last = block[:, -1].copy()
        for n_seen in (min(TAIL_GLANCE, n), n):
            first = n - n_seen
            seen = block[:, first - 1 :] if first else np.concatenate([before, block], axis=1)
            changes = np.flatnonzero((seen[:, 1:] != seen[:, :-1]).any(axis=0))
            if changes.size:
                self._n_tail = n_seen - int(changes[-1])
                return
        self._n_tail += n

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
