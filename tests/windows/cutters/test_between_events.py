"""Windows between events against a plain loop over recording time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drawn_examples import examples
from eegfm.errors import ConfigError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.cutters.between_events import BetweenEventsCut
from eegfm.windows.runs import expand
from found_windows import find_windows


def cut(table, events, **fields):
    chosen = BetweenEventsCut(**{"start": ("on",), "stop": ("off",), "length_s": 2, **fields})
    windows, counts = cut_windows(table, events, WindowParams(cuts={"b": chosen}))
    return windows, counts["b"]


def moments(windows):
    return list(expand(windows)[["moment", "start"]].itertuples(index=False, name=None))


def test_equal_moments_are_equal_times_since_the_start_event(recordings, events):
    found = events([("c:r000", 5.0, "on"), ("c:r000", 12.5, "off"), ("c:r001", 12.34, "on"), ("c:r001", 18.34, "off")])
    windows, counts = cut(recordings([[(0, 3000)], [(0, 3000)]]), found)
    assert windows[["start", "n_windows", "moment", "stride"]].to_numpy().tolist() == [
        [500, 3, 0, 200],
        [1234, 3, 0, 200],
    ]
    assert counts == {
        "n_recordings": 2,
        "n_windows": 6,
        "n_samples": 1200,
        "hours": pytest.approx(12 / 3600),
        "n_recordings_without_window": 0,
        "n_events": 2,
        "n_events_without_stop": 0,
        "n_events_out_of_range": 0,
        "n_events_without_window": 0,
        "n_windows_out_of_range": 0,
    }


def test_the_grid_goes_on_behind_a_gap_in_time(recordings, events):
    """Ten seconds are stored, then 3.25 s are missing; bins that touch the gap are dropped."""
    table = recordings([[(0, 1000), (1000, 3000)]], segment_onsets_s=[[0.0, 13.25]])
    found = events([("c:r000", 1.0, "on"), ("c:r000", 16.0, "off")])
    windows, counts = cut(table, found)
    # Bin k shows 1 + 2 k s of recording time; 13.25 s is stored at 10 s; the stop comes at 19.25 s.
    assert moments(windows) == [(0, 100), (1, 300), (2, 500), (3, 700), (7, 1175), (8, 1375)]
    assert counts["n_windows_out_of_range"] == 9 - 6
    assert windows["segment"].tolist() == [0, 1]


def test_a_stretch_without_signal_inside_a_recording_shifts_nothing(recordings, events):
    """Dead seconds are in the store, between two segments."""
    table = recordings([[(0, 1000), (1130, 3000)]], segment_onsets_s=[[0.0, 11.3]])
    found = events([("c:r000", 1.0, "on"), ("c:r000", 16.0, "off")])
    assert moments(cut(table, found)[0]) == [(0, 100), (1, 300), (2, 500), (3, 700), (6, 1300)]
    in_it = events([("c:r000", 10.5, "on"), ("c:r000", 16.0, "off")])
    assert moments(cut(table, in_it)[0]) == [(1, 1250)]


def test_gaps_of_parts_of_samples_round_to_the_nearest(recordings, events):
    table = recordings([[(0, 1000), (1000, 3000)]], segment_onsets_s=[[0.0, 12.004]])
    found = events([("c:r000", 1.0, "on"), ("c:r000", 15.0, "off")])
    assert moments(cut(table, found)[0])[4:] == [(6, 1100), (7, 1300)]


def test_start_events_without_a_stop(recordings, events):
    found = events(
        [
            ("c:r000", 2.0, "on"), ("c:r000", 7.0, "on"), ("c:r000", 11.0, "off"), ("c:r000", 25.0, "on"),
            ("c:r001", 2.0, "off"), ("c:r001", 2.0, "on"),
        ]
    )  # fmt: skip
    table = recordings([[(0, 2000), (2000, 3000)], [(0, 900)]])
    windows, counts = cut(table, found)
    assert moments(windows) == [(0, 700), (1, 900)]
    assert (counts["n_events"], counts["n_events_without_stop"]) == (4, 3)
    windows, counts = cut(table, found, without_stop="to_segment_end")
    assert windows[["recording_id", "start", "n_windows"]].to_numpy().tolist() == [
        ["c:r000", 200, 2],
        ["c:r000", 700, 2],
        ["c:r000", 2500, 2],
        ["c:r001", 200, 3],
    ]
    assert counts["n_events_without_stop"] == 3
    windows, counts = cut(table, found, stop=())
    assert windows["n_windows"].tolist() == [2, 6, 2, 3]
    assert counts["n_events_without_stop"] == 0


def test_events_out_of_range_and_written_twice(recordings, events):
    found = events(
        [
            ("c:r000", -3.0, "on"), ("c:r000", -1.0, "off"), ("c:r000", 2.0, "on"), ("c:r000", 2.0, "on"),
            ("c:r000", 8.0, "off"), ("c:r000", 9.0, "on"), ("c:r000", 9.5, "off"), ("c:r000", 50.0, "on"),
            ("c:r000", 1e300, "off"), ("c:r000", float("nan"), "on"), ("c:r001", 1.0, "on"), ("c:r001", 9.0, "off"),
            ("elsewhere", 1.0, "on"),
        ]
    )  # fmt: skip
    windows, counts = cut(recordings([[(0, 2000)], []]), found)
    assert moments(windows) == [(0, 200), (1, 400), (2, 600)]
    assert counts["n_events"] == 5
    assert counts["n_events_out_of_range"] == 3
    assert counts["n_events_without_window"] == 1
    assert counts["n_recordings_without_window"] == 1


def test_the_stop_may_be_the_next_start(recordings, events):
    found = events([("c:r000", t, v) for t, v in [(1.0, "on"), (6.0, "on"), (9.0, "off")]])
    with pytest.raises(ValidationError, match="event value on is listed twice"):
        BetweenEventsCut(start=("on",), stop=("on",), length_s=2)
    assert moments(cut(recordings([[(0, 2000)]]), found, stop=())[0])[:3] == [(0, 100), (1, 300), (0, 600)]


def test_a_missing_column_is_told(recordings, events):
    with pytest.raises(ConfigError, match="'b': events have no column 'trial_type'"):
        cut(recordings([[(0, 2000)]]), events([]), column="trial_type")


@st.composite
def pieces(draw):
    """Segments of stored samples, and the recording time of each: dead samples between some, gaps in time too."""
    edges = sorted(draw(st.sets(st.integers(0, 50), max_size=6)))
    spans = list(zip(edges[::2], edges[1::2], strict=False))
    lost, onsets = draw(st.integers(0, 5)), []
    for start, _ in spans:
        lost += draw(st.integers(0, 7))
        onsets.append(float(start + lost))
    return spans, onsets


def plain_windows(recording, rows, *, length, stride, has_stops, to_end):
    """(segment, start, moment) of one recording by a loop, one sample per second."""
    spans, onsets = recording
    starts = sorted({t for t, v in rows if v == "on"})
    stops = sorted({t for t, v in rows if v == "off"}) if has_stops else []

    def place(t):
        return max([k for k, (a, _) in enumerate(spans) if a <= t], default=0)

    out = []
    for k, t in enumerate(starts):
        if not spans or not 0 <= t < spans[-1][1]:
            continue
        following = starts[k + 1] if k + 1 < len(starts) else np.inf
        stop = next((s for s in stops if s > t), np.inf)
        if stop > following or stop == np.inf:
            if has_stops and not to_end:
                continue
            stop = min(following, max(spans[place(t)][1], t))
        zero, end = t + onsets[place(t)] - spans[place(t)][0], stop + onsets[place(stop)] - spans[place(stop)][0]
        for number, ((a, b), onset) in enumerate(zip(spans, onsets, strict=True)):
            for m in range(200):
                real = zero + m * stride
                first = real - onset + a
                if place(t) <= number <= place(stop) and first >= a and first + length <= b and real + length <= end:
                    out.append((number, int(first), m))
    return out


@given(
    data=st.data(),
    found=st.lists(pieces(), min_size=1, max_size=3),
    length=st.integers(1, 6),
    stride=st.integers(1, 6),
    has_stops=st.booleans(),
    to_end=st.booleans(),
)
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_windows_are_those_of_a_plain_loop(recordings, events, data, found, length, stride, has_stops, to_end):
    row = st.tuples(st.integers(0, len(found) - 1), st.integers(-5, 60), st.sampled_from(["on", "off", "other"]))
    rows = data.draw(st.lists(row, max_size=15))
    table = recordings([spans for spans, _ in found], rate_hz=1.0, segment_onsets_s=[onsets for _, onsets in found])
    expected = sorted(
        (f"c:r{r:03d}", *window)
        for r, recording in enumerate(found)
        for window in plain_windows(
            recording,
            [(t, v) for who, t, v in rows if who == r],
            length=length,
            stride=stride,
            has_stops=has_stops,
            to_end=to_end,
        )
    )
    told = events([(f"c:r{r:03d}", float(t), v) for r, t, v in rows])
    fields = {
        "length_s": length,
        "stride_s": stride,
        "stop": ("off",) if has_stops else (),
        "without_stop": "to_segment_end" if to_end and has_stops else "leave_out",
    }
    chosen = BetweenEventsCut(start=("on",), **fields)
    windows, _ = find_windows(chosen, table, told)
    columns = ["recording_id", "segment", "start", "moment"]
    assert sorted(expand(windows)[columns].itertuples(index=False, name=None)) == expected
    seed = data.draw(st.integers(0, 99))
    shuffled = table.sample(frac=1, random_state=seed), told.sample(frac=1, random_state=seed)
    again, _ = find_windows(chosen, *shuffled)
    pd.testing.assert_frame_equal(again, windows)
