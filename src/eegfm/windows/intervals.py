"""Labelled intervals of recordings: their overlap with windows, and windows inside them."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.windows.runs import Ints, Runs, SampleGrid
from eegfm.windows.spans import nearest_sample, pack, segments, tile, unpack

_TIE = 1e-6
"""Tolerance in samples. A time half-way between two samples is rounded up, whatever its last bit. Events of one
duration therefore have one length."""

_COLUMNS = ("recording", "start", "stop", "key")


@dataclass(frozen=True)
class Intervals:
    """Stretches [start, stop) as columns of equal length.

    Args:
        recording: (E,) index label of the row in the recordings table.
        start: (E,) first sample.
        stop: (E,) one past the last sample; not before the start, but maybe beyond the recording.
        key: (E,) number from 0 on of the class, or of the channel and class, of the stretch.
    """

    recording: Ints
    start: Ints
    stop: Ints
    key: Ints

    def __len__(self) -> int:
        return len(self.start)

    def take(self, which: NDArray[np.bool_] | Ints) -> "Intervals":
        """Select intervals."""
        return Intervals(self.recording[which], self.start[which], self.stop[which], self.key[which])

    def join(self, others: "Intervals") -> "Intervals":
        """Append other intervals."""
        pairs = ((getattr(self, name), getattr(others, name)) for name in _COLUMNS)
        return Intervals(*(np.concatenate(pair) for pair in pairs))

    def merge(self) -> "Intervals":
        """Unite intervals of one recording and key that overlap or touch; sorted by key, recording and start."""
        merged = [self.take((self.key == key) & (self.stop > self.start))._union() for key in np.unique(self.key)]
        none = np.zeros(0, dtype=np.int64)
        return Intervals(*(np.concatenate([none, *(getattr(m, name) for m in merged)]) for name in _COLUMNS))

    def _union(self) -> "Intervals":
        """Unite intervals of one recording that overlap or touch, whatever their key. The key of the first is kept."""
        order = np.lexsort((self.start, self.recording))
        key = self.key[order]
        start = pack(self.recording[order], self.start[order])
        reach = np.maximum.accumulate(pack(self.recording[order], self.stop[order]))
        begins = np.ones(len(start), dtype=bool)
        begins[1:] = start[1:] > reach[:-1]  # a later recording lies beyond every stop of an earlier one
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(start))[: len(first)] - 1
        recording, starts = unpack(start[first])
        return Intervals(recording, starts, unpack(reach[last])[1], key[first])


def sample_spans(
    recordings: pd.DataFrame,
    recording: Ints,
    onset_s: NDArray[np.float64],
    duration_s: NDArray[np.float64],
    rate_hz: float,
) -> tuple[Ints, Ints]:
    """First sample of each event, and one past its last sample.

    Stored segments lie back to back. An event that lasts over a gap therefore covers less of the stored signal than its
    duration. Without ``segment_onsets_s`` there are no gaps in time.

    Args:
        recordings: Rows in rising order of their index, with ``segment_starts`` and, if known, ``segment_onsets_s``
            (recording time).
        recording: (E,) index label of each event's recording.
        onset_s: (E,) in the time of the stored samples.
        duration_s: (E,) in recording time.
        rate_hz: Rate of the stored samples.
    """
    start = nearest_sample(onset_s * rate_hz + _TIE)
    stop = nearest_sample((onset_s + duration_s) * rate_hz + _TIE)
    found = segments(recordings)
    if "segment_onsets_s" not in recordings or not len(found["start"]):
        return start, stop
    real_start = np.concatenate([np.asarray(s, dtype=float) for s in recordings["segment_onsets_s"]]) * rate_hz
    shift = real_start - found["start"]  # samples lost in gaps before each segment
    of = found["recording"]
    own = _latest(of, found["start"], recording, start)
    real_stop = (onset_s + duration_s) * rate_hz + shift[own]
    at = _latest(of, nearest_sample(real_start), recording, nearest_sample(real_stop))
    following = np.minimum(at + 1, len(of) - 1)
    has_next = (following > at) & (of[following] == of[at])
    limit = np.where(has_next, found["start"][following], np.iinfo(np.int64).max)
    stop = np.minimum(nearest_sample(real_stop - shift[at] + _TIE), limit)
    return start, np.maximum(stop, start)


def _latest(of: Ints, begins: Ints, recording: Ints, sample: Ints) -> Ints:
    """Row of the last segment of each recording that begins at or before a sample; the first segment if none does."""
    at = np.searchsorted(pack(of, begins), pack(recording, sample), side="right") - 1
    first = np.searchsorted(of, recording, side="left")
    return np.minimum(np.maximum(at, first), len(of) - 1)


def covered(intervals: Intervals, n_keys: int, recording: Ints, start: Ints, stop: Ints) -> Ints:
    """(W, n_keys) samples of each window [start, stop) that the intervals of each key cover; overlaps count once."""
    out = np.zeros((len(start), n_keys), dtype=np.int64)
    merged = intervals.merge()
    for key in np.unique(merged.key):
        of_key = merged.take(merged.key == key)
        out[:, key] = _covered_before(of_key, recording, stop) - _covered_before(of_key, recording, start)
    return out


def _covered_before(merged: Intervals, recording: Ints, sample: Ints) -> Ints:
    """Samples covered before each sample, including those of earlier recordings."""
    lengths = np.concatenate([[0], np.cumsum(merged.stop - merged.start)])
    at = np.searchsorted(pack(merged.recording, merged.start), pack(recording, sample), side="right")
    latest = np.maximum(at - 1, 0)
    open_end = (at > 0) & (merged.recording[latest] == recording)
    to_come: Ints = np.where(open_end, np.maximum(merged.stop[latest] - sample, 0), 0)
    return np.asarray(lengths[at] - to_come, dtype=np.int64)


def grid(recordings: pd.DataFrame, sample_grid: SampleGrid, length_s: float, stride_s: float) -> Runs:
    """Windows at a fixed stride in every segment, one run each, for labels that change from window to window."""
    length, stride = sample_grid.samples("length_s", length_s), sample_grid.samples("stride_s", stride_s)
    found = segments(recordings)
    row, start = tile(found["start"], found["stop"], length, stride)
    return Runs(found["recording"][row], found["segment"][row], start, length, stride)


def within_segments(recordings: pd.DataFrame, intervals: Intervals) -> tuple[Ints, Ints, Ints, Ints]:
    """Parts of intervals that lie in segments.

    Returns:
        By part: number of its interval, row of its segment in ``segments(recordings)``, first sample, and one past the
        last sample. Parts are ordered by interval, then by segment. An interval in a gap has no part.
    """
    found = segments(recordings)
    first = np.searchsorted(
        pack(found["recording"], found["stop"]), pack(intervals.recording, intervals.start), "right"
    )
    behind = np.searchsorted(
        pack(found["recording"], found["start"]), pack(intervals.recording, intervals.stop), "left"
    )
    n_parts = np.maximum(behind - first, 0)
    number = np.repeat(np.arange(len(intervals)), n_parts)
    row = first[number] + np.arange(n_parts.sum()) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    start = np.maximum(found["start"][row], intervals.start[number])
    stop = np.minimum(found["stop"][row], intervals.stop[number])
    return number, row, start, stop


def windows_inside(
    recordings: pd.DataFrame, intervals: Intervals, sample_grid: SampleGrid, length_s: float, stride_s: float
) -> tuple[Runs, Ints]:
    """Windows that lie wholly inside intervals and segments, the first at the start of each part.

    Returns:
        One run per window, and the number of its interval.
    """
    length, stride = sample_grid.samples("length_s", length_s), sample_grid.samples("stride_s", stride_s)
    number, row, start, stop = within_segments(recordings, intervals)
    part, first = tile(start, stop, length, stride)
    segment = segments(recordings)["segment"][row[part]]
    return Runs(intervals.recording[number[part]], segment, first, length, stride), number[part]


def outside(recordings: pd.DataFrame, intervals: Intervals, key: int) -> Intervals:
    """The stretches of segments that no interval touches, under a key of their own."""
    found = segments(recordings)
    any_key = replace(intervals, key=np.zeros_like(intervals.key)).merge()
    _, row, start, stop = within_segments(recordings, any_key)
    rows = np.arange(len(found["start"]))
    # A gap begins at the segment's start or at an interval's end. It ends at an interval's start or the segment's end.
    opens_in, opens = np.concatenate([rows, row]), np.concatenate([found["start"], stop])
    closes_in, closes = np.concatenate([row, rows]), np.concatenate([start, found["stop"]])
    by_open, by_close = np.lexsort((opens, opens_in)), np.lexsort((closes, closes_in))
    free = Intervals(
        found["recording"][opens_in[by_open]],
        opens[by_open],
        closes[by_close],
        np.full(len(opens), key, dtype=np.int64),
    )
    return free.take(free.stop > free.start)


def windows_of_one_class(
    recordings: pd.DataFrame,
    intervals: Intervals,
    n_classes: int,
    sample_grid: SampleGrid,
    length_s: float,
    stride_s: float,
) -> tuple[Runs, Ints]:
    """Windows wholly inside the events of one class and touched by no event of another class.

    Events of one class that overlap or touch are one stretch. An event that several channels show therefore counts
    once.

    Args:
        recordings: Rows in rising order of their index.
        intervals: Intervals with the class as key. Keys from ``n_classes`` on give no windows but make others
            ambiguous.
        n_classes: Number of classes.
        sample_grid: Rate, and name of the cut.
        length_s: Window length.
        stride_s: From one window to the next.

    Returns:
        One run per window, and its class. Counted: ``n_stretches``, ``n_stretches_without_window``,
        ``n_windows_of_several_classes``.
    """
    merged = intervals.merge()
    stretches = merged.take(merged.key < n_classes)
    runs, number = windows_inside(recordings, stretches, sample_grid, length_s, stride_s)
    n_keys = max(n_classes, int(merged.key.max(initial=-1)) + 1)
    by_key = covered(merged, n_keys, runs.recording, runs.start, runs.start + runs.n_samples)
    alone = (by_key > 0).sum(axis=1) == 1
    counted = {
        "n_stretches": len(stretches),
        "n_stretches_without_window": len(stretches) - len(np.unique(number[alone])),
        "n_windows_of_several_classes": int((~alone).sum()),
    }
    return replace(select(runs, alone), counted=counted), stretches.key[number[alone]]


def select(runs: Runs, which: NDArray[np.bool_] | Ints) -> Runs:
    """Select runs of one window each that have no target yet."""
    columns = (runs.n_windows, runs.moment, runs.label, runs.target, runs.targets)
    assert all(column is None for column in columns), "only starts are selected"
    return replace(runs, recording=runs.recording[which], segment=runs.segment[which], start=runs.start[which])
