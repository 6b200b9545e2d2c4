"""Classes after events, by configuration alone."""

import pytest
from pydantic import ValidationError

from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.events import EventsTask

ANCHORS = {"left": {"values": ["T1"], "span_s": 2}, "right": {"values": ["T2", "T4"], "offset_s": 1, "span_s": 1}}


def test_windows_are_labelled_by_their_event(recordings, events):
    task = EventsTask(anchors=ANCHORS, length_s=1)
    rows = [("c:r000", 1.0, "T1"), ("c:r000", 5.0, "T2"), ("c:r000", 7.0, "T4"), ("c:r000", 8.0, "T0")]
    windows, _ = cut_windows(recordings([[(0, 900)]]), events(rows), WindowParams(cuts={"hand": task}))
    assert windows[["start", "label", "cut"]].to_numpy().tolist() == [
        [100, "left", "hand"],
        [200, "left", "hand"],
        [600, "right", "hand"],
        [800, "right", "hand"],
    ]
    assert task.target_spec == ("binary", ("left", "right"), (), "")


def test_events_of_other_bids_tasks_are_not_cut(recordings, events):
    task = EventsTask(anchors=ANCHORS, length_s=1, bids_task="RestingState")
    table = recordings([[(0, 900)]] * 2, bids_task=["ThePresent", "RestingState"])
    rows = [(1.0, "T1"), (5.0, "T2"), (7.0, "T4")]
    found = events([(recording, *row) for recording in ("c:r000", "c:r001") for row in rows])
    windows, _ = cut_windows(table, found, WindowParams(cuts={"hand": task}))
    assert set(windows["recording_id"]) == {"c:r001"}


def test_one_value_cannot_stand_for_two_labels():
    with pytest.raises(ValidationError, match="event value T1 is listed twice"):
        EventsTask(anchors={**ANCHORS, "up": {"values": ["T1"], "span_s": 1}}, length_s=1)


@pytest.mark.parametrize("length_s", [0.0, -1.0, float("nan"), float("inf")])
def test_length_must_be_positive_and_finite(length_s):
    with pytest.raises(ValidationError, match="length_s"):
        EventsTask(anchors=ANCHORS, length_s=length_s)
