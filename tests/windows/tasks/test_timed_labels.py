"""Stretches of nominal times against a loop over windows."""

import pytest
from pydantic import ValidationError

from eegfm.errors import ConfigError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.timed_labels import TimedLabelsTask

FIRST_CLOSED = [{"label": "closed", "start_s": 0, "stop_s": 7}, {"label": "open", "start_s": 9}]
FIRST_OPEN = [{"label": "open", "start_s": 0.5, "stop_s": 7}, {"label": "closed", "start_s": 9, "stop_s": 12}]
STRETCHES = {"co": FIRST_CLOSED, "oc": FIRST_OPEN}
FIELDS = {"column": "order", "stretches": STRETCHES, "length_s": 2.0}


def cut(table, events, **fields):
    windows, counts = cut_windows(table, events, WindowParams(cuts={"eyes": TimedLabelsTask(**FIELDS | fields)}))
    return windows, counts["eyes"]


def rows(windows):
    return windows[["recording_id", "segment", "start", "label"]].to_numpy().tolist()


def test_windows_lie_in_the_stretches_of_their_recording(recordings, events):
    table = recordings([[(0, 1500)], [(0, 1500)], [(0, 1500)], [(0, 150)]], order=["co", "oc", "other", "co"])
    windows, counts = cut(table, events([]))
    expected = [["c:r000", 0, start, "closed"] for start in (0, 200, 400)]
    expected += [["c:r000", 0, start, "open"] for start in (900, 1100, 1300)]
    expected += [["c:r001", 0, start, "open"] for start in (50, 250, 450)] + [["c:r001", 0, 900, "closed"]]
    assert rows(windows) == expected
    assert {name: n for name, n in counts.items() if n and name.startswith("n_recordings_")} == {
        "n_recordings_without_label": 1,
        "n_recordings_without_window": 1,
    }


def test_times_count_gaps(recordings, events):
    """Two seconds are lost after the third: what is stored from sample 300 on was recorded from 5 s on."""
    table = recordings([[(0, 300), (300, 1200)]], order=["co"], segment_onsets_s=[[0.0, 5.0]])
    windows, _ = cut(table, events([]), stretches={"co": FIRST_CLOSED})
    assert rows(windows) == [
        ["c:r000", 0, 0, "closed"],
        ["c:r000", 1, 300, "closed"],
        *(["c:r000", 1, start, "open"] for start in (700, 900)),
    ]


def test_classes_are_those_of_the_stretches_in_order():
    assert TimedLabelsTask(**FIELDS).target_spec == ("binary", ("closed", "open"), (), "")


def test_subjects_who_did_otherwise_are_left_out(recordings, events):
    table = recordings([[(0, 1500)]] * 3, order="co", persons=["c:1", "c:2", "c:3"])
    windows, counts = cut(table, events([]), stretches={"co": FIRST_CLOSED}, subjects_left_out={"sub-2": "late"})
    assert set(windows["person"]) == {"c:1", "c:3"}
    assert counts["n_recordings_of_subjects_left_out"] == 1
    with pytest.raises(ConfigError, match=r"'eyes': subjects_left_out: '4' matches none of 3 recordings \(subject\)"):
        cut(table, events([]), stretches={"co": FIRST_CLOSED}, subjects_left_out={"4": "late"})


def test_values_and_columns_that_do_not_exist_are_refused(recordings, events):
    table = recordings([[(0, 1500)]], order="co")
    with pytest.raises(ConfigError, match=r"'eyes': stretches: 'oc' matches none of 1 recordings \(column 'order'\)"):
        cut(table, events([]))
    with pytest.raises(ConfigError, match=r"'eyes'.*no column 'Eyes'"):
        cut(table, events([]), column="Eyes")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ([FIRST_CLOSED[1], FIRST_CLOSED[0]], "'closed' starts at 0 s, before the end of 'open'; list stretches in the"),
        ([FIRST_CLOSED[0], {"label": "open", "start_s": 6}], "'open' starts at 6 s, before the end of 'closed'"),
        ([*FIRST_CLOSED[:1], {"label": "open", "start_s": 9, "stop_s": 10}], "9 to 10 s is shorter than a window of 2"),
        (FIRST_CLOSED[:1], "all have one label; two or more classes are needed"),
        ([], "at least 1 item"),
    ],
)
def test_stretches_that_cannot_be_are_refused(own, message):
    with pytest.raises(ValidationError, match=message):
        TimedLabelsTask(**FIELDS | {"stretches": {"co": own}})
