"""Eyes open and closed, on real cues."""

import numpy as np

from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.hbn_eyes import HbnEyesTask

OPEN, CLOSE = "instructed_toOpenEyes", "instructed_toCloseEyes"


def cut(table, found):
    windows, counts = cut_windows(table, found, WindowParams(cuts={"eyes": HbnEyesTask()}))
    return windows, counts["eyes"]


def test_windows_start_as_in_eegdash(recordings, events):
    cues = events([("c:r000", 20.0, OPEN), ("c:r000", 40.004, CLOSE), ("c:r001", 20.0, OPEN)])
    table = recordings([[(0, 9000)]] * 2, bids_task=["RestingState", "ThePresent"])
    windows, counts = cut(table, cues)
    starts = windows.groupby("label")["start"].apply(list).to_dict()
    assert starts["open"] == [2000 + 100 * offset for offset in range(5, 18, 2)]
    assert starts["closed"] == [4000 + 100 * offset for offset in range(15, 28, 2)]
    assert set(windows["n_samples"]) == {200}
    assert counts["n_recordings_of_other_tasks"] == 1
    assert HbnEyesTask().target_spec == ("binary", ("closed", "open"), (), "")


def test_real_resting_state_cues(release_5):
    recordings, events = release_5
    windows, counts = cut(recordings, events)
    expected = []
    for row in recordings[recordings["bids_task"] == "RestingState"].itertuples():
        mine = events[events["recording_id"] == row.recording_id]
        for value, label, offset in ((CLOSE, "closed", 15), (OPEN, "open", 5)):
            for onset_s in mine.loc[mine["value"] == value, "onset_s"]:
                begins = int(np.floor(onset_s * 100 + 0.5)) + 100 * offset + 200 * np.arange(7)
                fits = begins + 200 <= row.segment_stops[0]
                expected += [(row.recording_id, label, int(start)) for start in begins[fits]]
    found = list(windows[["recording_id", "label", "start"]].itertuples(index=False, name=None))
    assert sorted(found) == sorted(expected)
    # Five cues of each kind; the sixth to open the eyes ends the task.
    assert (len(windows), counts["n_events"], counts["n_events_without_window"]) == (2 * 5 * 7 * 20, 220, 20)
    assert (counts["n_windows_out_of_range"], counts["n_windows_after_next_event"]) == (7 * 20, 0)
