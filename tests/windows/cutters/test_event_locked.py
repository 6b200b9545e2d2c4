"""Windows after events, where labels matter and where they do not."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drawn_examples import examples
from eegfm.errors import ConfigError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.cutters.event_locked import Anchor, EventLockedCut, windows_after_events
from eegfm.windows.runs import SampleGrid

OPEN, CLOSE = "instructed_toOpenEyes", "instructed_toCloseEyes"
ANCHORS = {
    "closed": Anchor(values=(CLOSE,), offset_s=15.0, span_s=14.0),
    "open": Anchor(values=(OPEN,), offset_s=5.0, span_s=14.0),
}


def find(table, cues, anchors=ANCHORS, length_s=2.0, stride_s=2.0):
    return windows_after_events(table, cues, SampleGrid(100.0, "eyes"), anchors, length_s=length_s, stride_s=stride_s)


def starts(runs, label):
    return runs.start[runs.label == label].tolist()


def test_windows_follow_their_events(recordings, events):
    cues = events([("c:r000", 20.0, OPEN), ("c:r000", 40.004, CLOSE)])
    runs = find(recordings([[(0, 9000)]]), cues)
    assert starts(runs, "open") == [2000 + 100 * offset for offset in range(5, 18, 2)]
    assert starts(runs, "closed") == [4000 + 100 * offset for offset in range(15, 28, 2)]


def test_what_is_out_of_range_is_counted_and_dropped(recordings, events):
    cues = events(
        [
            ("c:r000", -30.0, OPEN), ("c:r000", 20.0, OPEN), ("c:r000", 60.0, CLOSE), ("c:r000", 500.0, OPEN),
            ("c:r000", float("nan"), OPEN), ("c:r000", 1e300, OPEN), ("c:unknown", 20.0, OPEN),
        ]
    )  # fmt: skip
    runs = find(recordings([[(0, 2700), (2700, 8000)]]), cues)
    # Only the window from 25 s lies in the segment of its cue.
    assert starts(runs, "open") == [2500]
    assert runs.segment[runs.label == "closed"].tolist() == [1, 1]
    assert starts(runs, "closed") == [7500, 7700]
    assert runs.counted["n_events"] == 5
    assert runs.counted["n_events_without_window"] == 3
    assert runs.counted["n_windows_out_of_range"] == 7 + 6 + 5 + 7 + 7


@pytest.mark.parametrize(("onset_s", "start"), [(20.004, 2500), (20.006, 2501)])
def test_events_fall_on_the_nearest_sample(recordings, events, onset_s, start):
    assert find(recordings([[(0, 9000)]]), events([("c:r000", onset_s, OPEN)])).start[0] == start


def test_windows_stay_in_the_segment_of_their_event(recordings, events):
    """Behind a gap nobody knows what the person was told meanwhile."""
    runs = find(recordings([[(0, 2950), (2950, 8000)]]), events([("c:r000", 20.0, OPEN)]))
    assert runs.start.tolist() == [2500, 2700]
    assert runs.segment.tolist() == [0, 0]


def test_a_stretch_ends_where_another_label_begins(recordings, events):
    cues = events([("c:r000", 10.0, OPEN), ("c:r000", 19.5, CLOSE), ("c:r001", 16.0, CLOSE)])
    runs = find(recordings([[(0, 9000)], [(0, 9000)]]), cues)
    assert runs.start[(runs.recording == 0) & (runs.label == "open")].tolist() == [1500, 1700]
    assert runs.counted["n_windows_after_next_event"] == 5
    assert (runs.recording == 1).sum() == 7


def test_an_event_written_twice_counts_once(recordings, events):
    assert len(find(recordings([[(0, 9000)]]), events([("c:r000", 20.0, OPEN)] * 2)).start) == 7


def test_lengths_must_be_whole_samples(recordings, events):
    anchors = {"open": Anchor(values=(OPEN,), offset_s=0, span_s=1.001)}
    with pytest.raises(ConfigError, match="span_s"):
        find(recordings([[(0, 900)]]), events([]), anchors)


def cut(table, found, **fields):
    chosen = EventLockedCut(**{"values": ("go",), "length_s": 1, **fields})
    return cut_windows(table, found, WindowParams(cuts={"e": chosen}))[0]


def test_event_locked_cuts_have_no_labels(recordings, events):
    found = events([("c:r000", 5.0, "go"), ("c:r000", 8.0, "stop")])
    table = recordings([[(0, 900)]])
    assert cut(table, found)["start"].tolist() == [500]
    assert cut(table, found, offset_s=-1, span_s=3)["start"].tolist() == [400, 500, 600]
    assert cut(table, found, span_s=2, stride_s=0.5)["start"].tolist() == [500, 550, 600]
    assert cut(table, found)["label"].isna().all()
    named = found.rename(columns={"value": "trial_type"})
    assert cut(table, named, column="trial_type")["start"].tolist() == [500]
    with pytest.raises(ConfigError, match="'e': events have no column 'value'"):
        cut(table, named)


def test_a_value_stands_once():
    with pytest.raises(ValidationError, match="event value go is listed twice"):
        EventLockedCut(values=("go", "go"), length_s=1)


@st.composite
def segment_lists(draw):
    edges = sorted(draw(st.sets(st.integers(0, 60), max_size=6)))
    return list(zip(edges[::2], edges[1::2], strict=False))


def test_an_event_outside_every_segment_gives_no_window(recordings, events):
    """It lies in dead signal; what was stored of the recording before must not matter."""
    found = events([("c:r001", 2.0, OPEN)])
    for first in ([(0, 900)], [(0, 400), (400, 900)]):
        assert find(recordings([first, [(300, 9000)]]), found).start.tolist() == []


def plain_windows(segments, rows, offset, length, span, stride):
    """(recording, label, segment, start) of windows after events a and b, by a loop; one sample per second."""
    out = set()
    for r, t, value in rows:
        limit = min((u for who, u, other in rows if who == r and other != value and u >= t), default=10**6)
        for number, (a, b) in enumerate(segments[r]):
            for start in range(t + offset, t + offset + span - length + 1, stride):
                if a <= t < b and a <= start and start + length <= min(b, limit):
                    out.add((r, value, number, start))
    return out


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    segments=st.lists(segment_lists(), min_size=1, max_size=3),
    offset=st.integers(-5, 5),
    length=st.integers(1, 5),
    span=st.integers(1, 12),
    stride=st.integers(1, 5),
)
def test_windows_after_events_are_those_of_a_plain_loop(
    recordings, events, data, segments, offset, length, span, stride
):
    row = st.tuples(st.integers(0, len(segments) - 1), st.integers(-5, 65), st.sampled_from("ab"))
    rows = data.draw(st.lists(row, max_size=12, unique_by=lambda found: found[:2]))
    rows = [(r, t, v) for r, t, v in rows if any(a <= t < b for a, b in segments[r])]
    table = recordings(segments, rate_hz=1.0)
    told = events([(f"c:r{r:03d}", float(t), v) for r, t, v in rows])
    anchors = {label: Anchor(values=(label,), offset_s=offset, span_s=span) for label in "ab"}

    def found(cues):
        runs = windows_after_events(table, cues, SampleGrid(1.0, "e"), anchors, length_s=length, stride_s=stride)
        return list(zip(runs.recording, runs.label, runs.segment, runs.start, strict=True))

    expected = plain_windows(segments, rows, offset, length, span, stride)
    # Where windows of two labels begin at one sample, one of them is kept.
    places = {(r, number, start) for r, _, number, start in expected}
    assert {(r, number, start) for r, _, number, start in found(told)} == places
    assert set(found(told)) <= expected
    assert len(found(told)) == len(places)
    shuffled = told.sample(frac=1, random_state=data.draw(st.integers(0, 99)))
    if len(places) == len(expected):
        assert found(shuffled) == found(told)
