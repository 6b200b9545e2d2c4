"""Bad stretches cut segments into pieces: against a plain mask of every sample."""

from typing import Any

import numpy as np
import pytest

from eegfm.signal.config import ReadParams
from eegfm.signal.header import RecordingHeader, Segment
from eegfm.signal.processing.bad_stretches import bad_stretches, cut_pieces, says_bad, spans_of

RATE_HZ = 10.0
PATTERNS = ReadParams().bad_annotations


def header(*segments: Segment) -> RecordingHeader:
    return RecordingHeader(("Cz",), ("uV",), RATE_HZ, (RATE_HZ,), segments[-1].stop, segments)


@pytest.mark.parametrize("step", [1, 5, 7])
def test_pieces_are_what_a_mask_of_the_samples_says(step: int) -> None:
    rng = np.random.default_rng(step)
    for _ in range(200):
        gap_s = float(rng.integers(0, 30))
        segments = (Segment(0, 100, 0.0), Segment(100, 250, 10 + gap_s))
        events = [
            {
                "onset_s": float(rng.integers(-50, 400)) / 10,
                "duration_s": float(rng.integers(0, 80)) / 10,
                "value": "BAD",
            }
            for _ in range(rng.integers(0, 6))
        ]
        head = header(*segments)
        spans = spans_of(bad_stretches(events, PATTERNS), head)
        is_bad = np.zeros(250, dtype=bool)
        for start, stop, onset_s in segments:
            time_s = onset_s + np.arange(stop - start) / RATE_HZ
            for event in events:
                inside = (time_s > event["onset_s"] - 1e-9) & (time_s < event["onset_s"] + event["duration_s"] - 1e-9)
                is_bad[start:stop] |= inside
        found = np.zeros(250, dtype=int)
        for segment in segments:
            pieces = cut_pieces(segment, spans, RATE_HZ, step)
            edges = [piece.segment.start for piece in pieces] + [segment.stop]
            assert edges[0] == segment.start
            assert edges == sorted(set(edges)), "the pieces are the segment, none of them empty"
            assert [piece.segment.stop for piece in pieces] == edges[1:]
            assert all((edge - segment.start) % step == 0 for edge in edges[:-1])
            for piece in pieces:
                start, stop, onset_s = piece.segment
                found[start:stop] += 1 + piece.is_bad
                assert onset_s == pytest.approx(segment.onset_s + (start - segment.start) / RATE_HZ)
        assert (found[is_bad] == 2).all(), "no bad sample is left"
        if step == 1:
            np.testing.assert_array_equal(found == 2, is_bad)
        grown = np.convolve(is_bad, np.ones(2 * step + 1), mode="same") > 0
        assert not (found == 2)[~grown].any(), "no more than a step is lost on either side"


@pytest.mark.parametrize(
    ("text", "is_bad"),
    [
        ("BAD_ACQ_SKIP", True),
        (" bad ", True),
        ("Bad Interval/Bad Min-Max", True),
        ("EDGE boundary", True),
        ("Comment/BAD_x", True),
        ("Comment/good", False),
        ("not bad", False),
        ("", False),
    ],
)
def test_texts(text: str, is_bad: bool) -> None:
    assert says_bad({"value": text}, PATTERNS) is is_bad
    assert says_bad({"value": "7", "marker_value": text}, PATTERNS) is is_bad
    assert not says_bad({"value": text, "marker_value": None}, ())


def test_unknown_and_odd_durations_are_points() -> None:
    durations = (None, 0.0, float("nan"), float("inf"), -1.0)
    events = [{"onset_s": float(k), "duration_s": d, "value": "BAD"} for k, d in enumerate(durations)]
    found = bad_stretches([*events, *events], PATTERNS)
    assert found.spans_s == ()
    assert found.points_s == (0.0, 1.0, 2.0, 3.0, 4.0)
    assert found.flags == ("bad_without_duration:5",)


@pytest.mark.parametrize(
    ("event", "is_bad"),
    [
        ({"value": "", "event_type": "BAD_x"}, True),
        ({"value": "", "event_type": "go", "description": " bad y "}, True),
        ({"value": "7", "description": "BAD_x"}, True),
        ({"value": "7", "marker_value": "7", "description": "BAD_x"}, True),
        ({"value": "go", "marker_value": "7", "answer": "bad"}, False),
        ({"value": "", "answer": "good", "badness": "1", "rating": None}, False),
        *(({"value": "", column: "bad.png"}, False) for column in ("stim_file", "HED", "channel", "channels")),
    ],
)
def test_events_without_words_under_value_are_read_in_every_column(event: dict[str, Any], is_bad: bool) -> None:
    assert says_bad(event, PATTERNS) is is_bad


def test_bad_beside_a_value_takes_nothing_out_and_is_said() -> None:
    row = {"onset_s": 3.0, "duration_s": 2.0, "value": "go", "answer": "bad"}
    found = bad_stretches([row, {**row, "onset_s": 9.0}, {**row, "onset_s": 12.0, "answer": "good"}], PATTERNS)
    assert found == ((), (), ("bad_in_other_columns:2",))
