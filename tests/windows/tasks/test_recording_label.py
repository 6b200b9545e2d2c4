"""Classes of whole recordings, by configuration alone."""

import pytest
from pydantic import ValidationError

from eegfm.errors import ConfigError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.recording_label import RecordingLabelTask

CLASSES = {"open": ("R01",), "closed": ("R02",)}


def cut(table, events, **fields):
    task = RecordingLabelTask(**{"column": "run", "classes": CLASSES, "length_s": 2, "stride_s": 2, **fields})
    windows, counts = cut_windows(table, events, WindowParams(cuts={"eyes": task}))
    return windows, counts["eyes"]


def test_recording_label(recordings, events):
    table = recordings([[(0, 500)]] * 4, run=["R01", "R02", "R03", "R02"])
    table.at[3, "segment_stops"] = [100]
    windows, counts = cut(table, events([]))
    assert windows[["recording_id", "label", "n_windows", "cut"]].to_numpy().tolist() == [
        ["c:r000", "open", 2, "eyes"],
        ["c:r001", "closed", 2, "eyes"],
    ]
    assert counts["n_recordings_without_label"] == 1
    assert counts["n_recordings_without_window"] == 1


def test_recordings_of_one_bids_task(recordings, events):
    table = recordings([[(0, 500)]] * 4, run=["R01", "R01", "R02", "R02"], bids_task=["a", "b", "a", "b"])
    assert set(cut(table, events([]), bids_task="b")[0]["recording_id"]) == {"c:r001", "c:r003"}


def test_recording_label_needs_its_column(recordings, events):
    with pytest.raises(ConfigError, match=r"'eyes'.*'pathology'.*'run'"):
        cut(recordings([[(0, 500)]]), events([]), column="pathology")


def test_one_value_cannot_stand_for_two_labels():
    with pytest.raises(ValidationError, match="R01"):
        RecordingLabelTask(column="run", classes={"a": ["R01"], "b": ["R02", "R01"]}, length_s=2, stride_s=2)
