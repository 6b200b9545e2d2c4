"""Measure signal quality: flat channels, still stretches, clipping, non-finite values."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.signal.processing.fingerprint import ChannelHashes

# Limit of a flat channel. Amplifier noise alone is a hundred times as large.
FLAT_UV = 1e-3
# Share of samples at exactly the highest or lowest value. Saturation reaches this share, EEG does not.
CLIPPED_RATIO = 0.01
# Distance of the samples that are compared first. A channel with exactly one value for twice this time is still.
GLANCE_S = 0.1
# If more than this share of the channels is bad at once, no channel of this stretch can be used.
DEAD_CHANNELS_RATIO = 0.5
BAD_FLAGS = frozenset({"marked_bad", "flat", "implausible_amplitude", "clipped"})
"""Flags ``<flag>:<channel>`` of a channel whose signal cannot be trusted."""

Span = tuple[int, int]
"""Samples [start, stop) of the file."""


def bad_channels(flags: Iterable[str], channel_names: Sequence[str], reference: str | None) -> tuple[str, ...]:
    """Channels that take no part in the average and in features, according to their flags.

    Args:
        flags: All flags of a recording.
        channel_names: Its channels.
        reference: The reference electrode, if it is one known electrode. As a flat channel it is not bad, because its
            potential against itself is zero.

    Returns:
        Names in the order of the channels.
    """
    found = {(flag, name) for flag, _, name in (text.partition(":") for text in flags) if flag in BAD_FLAGS}
    bad = {name for flag, name in found if not (flag == "flat" and name == reference)}
    return tuple(name for name in channel_names if name in bad)


def clipped_together(flags: Collection[str], channel_names: Sequence[str], reference: str | None) -> tuple[str, ...]:
    """Channels that are bad by clipping alone, if they are at least half of the otherwise good channels.

    Half of the electrodes do not fail in the same way. The amplifier was saturated for a while, and most of the
    recording is good.

    Args:
        flags: All flags of a recording.
        channel_names: Its electrodes on the scalp.
        reference: See ``bad_channels``.
    """
    others = bad_channels(without_clipped(flags), channel_names, reference)
    bad = bad_channels(flags, channel_names, reference)
    clipped = tuple(name for name in bad if name not in others)
    return clipped if 2 * len(clipped) >= len(channel_names) - len(others) else ()


def without_clipped(flags: Iterable[str]) -> list[str]:
    """All flags except those of clipped channels."""
    return [flag for flag in flags if not flag.startswith("clipped:")]


def flat_channels(blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Tell whether each channel is flat in all filtered blocks.

    Args:
        blocks: (T, C) microvolts each.

    Returns:
        (C,) True for flat.
    """
    peaks = np.stack([np.abs(block).max(axis=0) for block in blocks])
    return np.asarray(peaks.max(axis=0) < FLAT_UV)


class Quality(NamedTuple):
    """Quality of a recording's raw samples.

    Args:
        flags: In fixed order ``flat:<channel>``, ``still:<channel>`` (for a while, outside of dead spans),
            ``clipped:<channel>``, ``non_finite:<channel>``, ``dead_spans``.
        dead_spans: Stretches in which most channels are still or non-finite, e.g. a download that was filled with
            zeros, or an unplugged amplifier.
        bad_ratio: Share of channel time that is still or non-finite.
    """

    flags: tuple[str, ...]
    dead_spans: tuple[Span, ...]
    bad_ratio: float


class _Seen:
    """Highest, lowest and every few values of each channel of a (C, T) block, channel by channel."""

    def __init__(self, block: NDArray[np.float32], edges: NDArray[np.int64], hashes: ChannelHashes | None) -> None:
        self.highest, self.lowest = np.empty((2, len(block)), dtype=np.float32)
        self.glances = np.empty((len(block), len(edges)), dtype=np.float32)
        for channel, samples in enumerate(block):
            self.highest[channel] = samples.max()
            self.lowest[channel] = samples.min()
            np.take(samples, edges, out=self.glances[channel])
            if hashes is not None:
                hashes.add(channel, samples)


class QualityWatch:
    """Measures the raw samples of a recording block by block. The cuts between blocks make no difference.

    Stillness is measured in intervals of one glance, counted from the first sample of a stretch without gaps. An
    interval that is cut by the end of a block waits for the next block.

    Args:
        channel_names: Names of the channels, for the flags.
        rate_hz: Rate of the samples.
        hashes: Hashes that are updated with the same samples while these are in the processor's cache.
    """

    def __init__(self, channel_names: Sequence[str], rate_hz: float, hashes: ChannelHashes | None = None) -> None:
        n = len(channel_names)
        self._hashes = hashes
        self._names = tuple(channel_names)
        self._glance = max(round(GLANCE_S * rate_hz), 1)
        self._n_samples = 0
        self._lowest = np.full(n, np.inf, dtype=np.float32)
        self._highest = np.full(n, -np.inf, dtype=np.float32)
        self._n_lowest = np.zeros(n, dtype=np.int64)
        self._n_highest = np.zeros(n, dtype=np.int64)
        self._n_non_finite = np.zeros(n, dtype=np.int64)
        self._n_bad = np.zeros(n, dtype=np.int64)  # still or not finite
        self._n_still = np.zeros(n, dtype=np.int64)  # outside dead spans
        self._dead: list[Span] = []
        self._waiting = np.empty((n, 0), dtype=np.float32)  # samples of the unfinished interval
        self._waiting_bad = np.empty((n, 0), dtype=np.bool_)
        self._next = 0  # position of the sample after them

    def add(self, block: NDArray[np.float32], start: int) -> NDArray[np.float32]:
        """Add the next samples.

        Args:
            block: (C, T) microvolts.
            start: Position of the first sample in the file.

        Returns:
            The samples with zeros in place of non-finite values, which an FFT would spread over a block.
        """
        n = block.shape[1]
        if not n:
            return block
        if start != self._next:
            self._end_stretch()
        # Edges of intervals with at least one later sample. It is not known yet whether a stretch ends at the last
        # edge.
        edges = np.arange(-self._waiting.shape[1] % self._glance, n - 1, self._glance)
        seen = _Seen(block, edges, self._hashes)
        bad = None
        if not (np.isfinite(seen.highest).all() and np.isfinite(seen.lowest).all()):
            bad = ~np.isfinite(block)
            self._n_non_finite += bad.sum(axis=1)
            block = np.where(bad, np.float32(0), block)
            seen = _Seen(block, edges, None)
        self._n_samples += n
        self._count_extreme(block, seen.highest, seen.highest - self._highest, self._highest, self._n_highest)
        self._count_extreme(block, seen.lowest, self._lowest - seen.lowest, self._lowest, self._n_lowest)
        self._watch(block, edges, seen.glances, bad, start)
        return block

    def _watch(
        self,
        block: NDArray[np.float32],
        edges: NDArray[np.int64],
        glances: NDArray[np.float32],
        bad: NDArray[np.bool_] | None,
        start: int,
    ) -> None:
        """Measure finished intervals: the one that was waiting, then those inside the block."""
        if self._waiting.shape[1] or not len(edges):
            head = slice(0, edges[0] + 2 if len(edges) else None)
            position = self._next - self._waiting.shape[1] if self._waiting.shape[1] else start
            head_bad = np.zeros(block[:, head].shape, dtype=np.bool_) if bad is None else bad[:, head]
            self._waiting = np.concatenate([self._waiting, block[:, head]], axis=1)
            self._waiting_bad = np.concatenate([self._waiting_bad, head_bad], axis=1)
            self._watch_waiting(np.arange(0, self._waiting.shape[1] - 1, self._glance), position)
        if len(edges):
            last = edges[-1]
            self._watch_stillness(block, edges, glances, None if bad is None else bad[:, :last], start)
            self._waiting = block[:, last:].copy()
            self._waiting_bad = np.zeros(self._waiting.shape, np.bool_) if bad is None else bad[:, last:].copy()
        self._next = start + block.shape[1]

    def _watch_waiting(self, edges: NDArray[np.int64], position: int) -> None:
        """Measure intervals of waiting samples; the first sample lies at this position of the file."""
        if len(edges) < 2:
            return
        bad = self._waiting_bad[:, : edges[-1]]
        self._watch_stillness(self._waiting, edges, self._waiting[:, edges], bad if bad.any() else None, position)
        self._waiting, self._waiting_bad = self._waiting[:, edges[-1] :], self._waiting_bad[:, edges[-1] :]

    def _end_stretch(self) -> None:
        """Measure the rest of a stretch, which is at most one glance long."""
        n = self._waiting.shape[1]
        if n > 1:
            is_bad = self._waiting_bad.any(axis=1)
            self._waiting_bad[:, 0] = is_bad  # the last sample belongs to the last interval
            self._watch_waiting(np.array([0, n - 1]), self._next - n)
        self._waiting, self._waiting_bad = self._waiting[:, :0], self._waiting_bad[:, :0]

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

    def _watch_stillness(
        self,
        block: NDArray[np.float32],
        edges: NDArray[np.int64],
        glances: NDArray[np.float32],
        bad: NDArray[np.bool_] | None,
        start: int,
    ) -> None:
        """Find stretches of one value in channels: compare every few samples, then all samples if those agree."""
        is_still = glances[:, 1:] == glances[:, :-1]
        # In a coarsely quantised signal two samples are often equal by chance, three hardly ever.
        rows, intervals = np.nonzero(is_still)
        middles = block[rows, (edges[intervals] + edges[intervals + 1]) // 2]
        is_still[rows, intervals] = middles == glances[rows, intervals]
        for interval in np.flatnonzero(is_still.any(axis=0)):
            rows = np.flatnonzero(is_still[:, interval])
            piece = block[rows, edges[interval] : edges[interval + 1] + 1]
            is_still[rows, interval] = (piece == piece[:, :1]).all(axis=1)
        if bad is None and not is_still.any():
            return
        lengths, is_bad = np.diff(edges), is_still
        if bad is not None:
            is_bad = is_still | np.logical_or.reduceat(bad, edges[:-1], axis=1)
        is_dead = is_bad.mean(axis=0) > DEAD_CHANNELS_RATIO
        self._n_bad += is_bad @ lengths
        self._n_still += (is_still & ~is_dead) @ lengths
        self._dead += [(start + int(edges[k]), start + int(edges[k + 1]) + 1) for k in np.flatnonzero(is_dead)]

    @property
    def clipped_ratio(self) -> NDArray[np.float64]:
        """(C,) share of samples at exactly the channel's highest or lowest value; 0 for a flat channel."""
        counts = np.where(self._is_flat, 0, np.maximum(self._n_highest, self._n_lowest) - self._n_bad)
        return np.maximum(counts, 0) / max(self._n_samples, 1)

    @property
    def ranges_uv(self) -> NDArray[np.float32]:
        """(C,) highest minus lowest value; negative infinity before the first sample."""
        return self._highest - self._lowest

    @property
    def _is_flat(self) -> NDArray[np.bool_]:
        # A finite range below the threshold exists only if there were samples at all.
        with np.errstate(invalid="ignore"):
            return ~(self._highest - self._lowest >= FLAT_UV)

    def result(self) -> Quality:
        """Quality of all samples so far. A stretch ends here."""
        self._end_stretch()
        is_flat = self._is_flat
        # In a coarsely quantised signal, a single pair of equal glances is chance. Two pairs in a row are not.
        is_still = ~is_flat & (self._n_still >= 2 * self._glance)
        kinds = {
            "flat": is_flat,
            "still": is_still,
            "clipped": self.clipped_ratio > CLIPPED_RATIO,
            "non_finite": self._n_non_finite > 0,
        }
        flags = [f"{kind}:{self._names[c]}" for kind, bad in kinds.items() for c in np.flatnonzero(bad)]
        spans = self._merged_dead_spans()
        n_bad = np.where(is_flat, self._n_samples, self._n_bad)
        bad_ratio = float(n_bad.sum()) / max(self._n_samples * len(self._names), 1)
        return Quality((*flags, *(["dead_spans"] if spans else [])), spans, bad_ratio)

    def _merged_dead_spans(self) -> tuple[Span, ...]:
        """Join neighbouring spans. Spans of a single glance are too short and are left out."""
        merged: list[Span] = []
        for start, stop in self._dead:
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            else:
                merged.append((start, stop))
        return tuple((start, stop) for start, stop in merged if stop - start > 2 * self._glance)


def without_spans(start: int, stop: int, spans: Sequence[Span], margin: int) -> list[Span]:
    """Rest of [start, stop) without these spans and a margin on both sides of each span."""
    cuts = sorted((max(a - margin, start), min(b + margin, stop)) for a, b in spans if b > start and a < stop)
    edges = [start]
    for a, b in cuts:
        edges += [max(a, edges[-1]), max(b, edges[-1])]
    edges.append(stop)
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
