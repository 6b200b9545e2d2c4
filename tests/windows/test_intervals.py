"""Intervals against plain loops over samples."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.windows.intervals import (
    Intervals,
    covered,
    grid,
    outside,
    sample_spans,
    windows_inside,
    windows_of_one_class,
)
from eegfm.windows.runs import SampleGrid
from tuh_tables import recordings_table

N = 60
CLOCK = SampleGrid(1.0, "test")
Rows = list[tuple[int, int, int, int]]

segment_lists = st.lists(st.integers(0, N), min_size=2, max_size=8, unique=True).map(
    lambda edges: list(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)
corpora = st.lists(segment_lists, min_size=1, max_size=3)
"""Recording, first sample, length, key: overlapping, touching, empty, before the start, beyond the end."""
rows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-10, N + 10), st.integers(0, 25), st.integers(0, 2)), max_size=12
)


def intervals_of(found: Sequence[tuple[int, int, int, int]], n_recordings: int) -> Intervals:
    columns = np.array([(r % n_recordings, a, a + n, k) for r, a, n, k in found], dtype=np.int64).reshape(-1, 4)
    return Intervals(*columns.T)


def masks(intervals: Intervals, n_recordings: int) -> np.ndarray:
    """(recording, key, sample) whether it is covered; sample 0 lies at index 50."""
    mask = np.zeros((n_recordings, 3, N + 100), dtype=bool)
    for r, a, b, k in zip(intervals.recording, intervals.start, intervals.stop, intervals.key, strict=True):
        mask[r, k, a + 50 : b + 50] = True
    return mask


def stretches(mask: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [(int(a) - 50, int(b) - 50) for a, b in edges.reshape(-1, 2)]


@given(rows, st.lists(st.tuples(st.integers(0, 2), st.integers(-5, N), st.integers(1, 20)), max_size=10))
@settings(max_examples=50, deadline=None)
def test_what_intervals_cover_is_counted_sample_by_sample(found: Rows, windows: list[tuple[int, int, int]]) -> None:
    intervals = intervals_of(found, 3)
    mask = masks(intervals, 3)
    recording, start, length = (np.array([w[k] for w in windows], dtype=np.int64) for k in range(3))
    seen = covered(intervals, 3, recording, start, start + length)
    expected = [[mask[r, k, a + 50 : a + n + 50].sum() for k in range(3)] for r, a, n in windows]
    assert seen.tolist() == [[int(n) for n in row] for row in expected]


@given(rows)
@settings(max_examples=50, deadline=None)
def test_unions_are_the_runs_of_covered_samples(found: Rows) -> None:
    intervals = intervals_of(found, 3)
    merged, mask = intervals.merge(), masks(intervals, 3)
    seen = list(zip(merged.key, merged.recording, merged.start, merged.stop, strict=True))
    assert seen == [(k, r, a, b) for k in range(3) for r in range(3) for a, b in stretches(mask[r, k])]


@given(corpora, rows, st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_windows_inside_intervals_and_segments(corpus: list, found: Rows, length: int, stride: int) -> None:
    recordings, intervals = recordings_table(corpus), intervals_of(found, len(corpus))
    runs, number = windows_inside(recordings, intervals, CLOCK, length, stride)
    expected = []
    for n, (r, a, b) in enumerate(zip(intervals.recording, intervals.start, intervals.stop, strict=True)):
        for segment, (first, last) in enumerate(corpus[r]):
            start = max(a, first)
            while start + length <= min(b, last):
                expected.append((n, r, segment, start))
                start += stride
    assert list(zip(number, runs.recording, runs.segment, runs.start, strict=True)) == expected


@given(corpora, rows)
@settings(max_examples=50, deadline=None)
def test_outside_is_what_no_interval_covers(corpus: list, found: Rows) -> None:
    recordings, intervals = recordings_table(corpus), intervals_of(found, len(corpus))
    free = outside(recordings, intervals, 7)
    expected = []
    for r, segments in enumerate(corpus):
        for first, last in segments:
            mask = np.zeros(N + 100, dtype=bool)
            mask[first + 50 : last + 50] = True
            mask &= ~masks(intervals, len(corpus))[r].any(axis=0)
            expected += [(r, a, b, 7) for a, b in stretches(mask)]
    assert list(zip(free.recording, free.start, free.stop, free.key, strict=True)) == expected


@given(corpora, rows, st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_windows_of_one_class_hold_nothing_of_another(corpus: list, found: Rows, length: int, stride: int) -> None:
    recordings, intervals = recordings_table(corpus), intervals_of(found, len(corpus))
    mask = masks(intervals, len(corpus))
    runs, key = windows_of_one_class(recordings, intervals, 2, CLOCK, length, stride)
    expected, n_stretches, n_of_several, n_without = [], 0, 0, 0
    for k in range(2):
        for r in range(len(corpus)):
            for a, b in stretches(mask[r, k]):
                n_stretches, n_found = n_stretches + 1, 0
                for segment, (first, last) in enumerate(corpus[r]):
                    start = max(a, first)
                    while start + length <= min(b, last):
                        held = mask[r, :, start + 50 : start + length + 50].any(axis=1)
                        if held.sum() == 1:
                            expected.append((k, r, segment, start))
                            n_found += 1
                        else:
                            n_of_several += 1
                        start += stride
                n_without += n_found == 0
    assert list(zip(key, runs.recording, runs.segment, runs.start, strict=True)) == expected
    assert runs.counted == {
        "n_stretches": n_stretches,
        "n_stretches_without_window": n_without,
        "n_windows_of_several_classes": n_of_several,
    }


@given(corpora, st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_grid(corpus: list, length: int, stride: int) -> None:
    runs = grid(recordings_table(corpus), CLOCK, length, stride)
    expected = [
        (r, s, start)
        for r, segments in enumerate(corpus)
        for s, (first, last) in enumerate(segments)
        for start in range(first, last - length + 1, stride)
    ]
    assert list(zip(runs.recording, runs.segment, runs.start, strict=True)) == expected


@given(corpora, st.lists(st.integers(0, 15), min_size=24, max_size=24), st.data())
@settings(max_examples=50, deadline=None)
def test_an_event_over_a_gap_covers_what_was_recorded_of_it(corpus: list, gaps: list[int], data: st.DataObject) -> None:
    # Samples between segments are stored but dead; gaps are recording time that no sample has.
    recordings = recordings_table(corpus)
    onsets, real = [], []
    for r, segments in enumerate(corpus):
        before = np.cumsum(gaps[8 * r : 8 * r + len(segments)])
        onsets.append([float(a + g) for (a, _), g in zip(segments, before, strict=True)])
        times = np.full(N + 1, -1)
        for (a, b), g in zip(segments, before, strict=True):
            times[a:b] = np.arange(a, b) + g
        real.append(times)
    recordings["segment_onsets_s"] = onsets
    r = data.draw(st.integers(0, len(corpus) - 1))
    alive = np.flatnonzero(real[r] >= 0)
    onset, duration = int(data.draw(st.sampled_from(alive.tolist()))), data.draw(st.integers(0, 40))
    start, stop = sample_spans(recordings, np.array([r]), np.array([float(onset)]), np.array([float(duration)]), 1.0)
    held = alive[(alive >= start[0]) & (alive < stop[0])]
    t0 = real[r][onset]
    assert held.tolist() == [k for k in alive if t0 <= real[r][k] < t0 + duration]


def test_events_of_one_duration_have_one_length() -> None:
    # 36.885 s lies half-way between two samples at 100 Hz; what decides must not be the last bit of a float.
    onset_s = np.arange(20_000) / 1000
    recordings = recordings_table([[(0, 10_000)]])
    start, stop = sample_spans(recordings, np.zeros(20_000, np.int64), onset_s, (onset_s + 10.0) - onset_s, 100.0)
    assert set(stop - start) == {1000}
    assert start[[0, 4, 5, 6, 36]].tolist() == [0, 0, 1, 1, 4]


def test_events_far_beyond_the_end_do_no_harm() -> None:
    recordings = recordings_table([[(0, 100)], [(0, 100)]]).assign(segment_onsets_s=[[0.0], [0.0]])
    start, stop = sample_spans(recordings, np.zeros(2, np.int64), np.array([5.0, 1e30]), np.array([1e30, 1.0]), 10.0)
    intervals = Intervals(np.zeros(2, np.int64), start, stop, np.zeros(2, np.int64))
    windows = np.array([0, 0, 1]), np.array([0, 90, 0]), np.array([100, 110, 100])
    assert covered(intervals, 1, *windows).tolist() == [[50], [20], [0]]


@pytest.mark.parametrize("with_onsets", [True, False])
def test_nothing_at_all(with_onsets: bool) -> None:
    none = np.zeros(0, dtype=np.int64)
    recordings = recordings_table([[], [(0, 50)]])
    if with_onsets:
        recordings["segment_onsets_s"] = [[], [0.0]]
    empty = Intervals(none, none, none, none)
    assert covered(empty, 2, np.array([1]), np.array([0]), np.array([5])).tolist() == [[0, 0]]
    assert not len(windows_inside(recordings, empty, CLOCK, 5, 5)[1])
    assert outside(recordings, empty, 0).stop.tolist() == [50]
    assert not len(sample_spans(recordings, none, none.astype(float), none.astype(float), 10.0)[0])
    assert not len(grid(recordings[:1], CLOCK, 5, 5).start)
