"""Files of HBN with known faults: what their tasks make of them, were their signals in the store."""

from collections.abc import Sequence

import pandas as pd
import pytest

from eegfm.windows.cutters.base import Cut
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.hbn_challenge_1 import HbnChallenge1Task
from eegfm.windows.tasks.hbn_eyes import HbnEyesTask
from eegfm.windows.tasks.hbn_sequence_learning import HbnSequenceLearningTask
from eegfm.windows.tasks.hbn_symbol_search import HbnSymbolSearchTask


def find(task: Cut, quirks, subject: str, without: Sequence[str] = ()) -> Runs:
    recordings, events = quirks
    mine = recordings[recordings["subject"] == subject].reset_index(drop=True)
    return task.find(mine, events.drop(columns=list(without)), SampleGrid(100.0, "quirk"))


def per_recording(runs: Runs) -> list[int]:
    return pd.Series(runs.recording).value_counts().sort_index().tolist()


@pytest.mark.parametrize("subject", ["NDARME789TD2", "NDARTY128YLU"])
def test_recordings_of_two_seconds_and_less_give_no_window(quirks, subject):
    runs = find(HbnEyesTask(), quirks, subject)
    assert (len(runs.start), runs.counted["n_recordings_without_window"]) == (0, 1)


def test_a_run_without_feedback_column_and_without_presses_gives_no_trial(quirks):
    """NDARRK694GD5: nothing is lost but its windows."""
    runs = find(HbnChallenge1Task(), quirks, "NDARRK694GD5", without=["feedback"])
    assert len(runs.start) == 0
    left_out = runs.counted["n_trials_without_response"] + runs.counted["n_trials_without_stimulus"]
    assert left_out == runs.counted["n_trials_closed"] == 24


def test_a_file_path_among_the_values_changes_nothing(quirks):
    """NDARFR095UJK: five blocks of about 12 s."""
    runs = find(HbnSequenceLearningTask(), quirks, "NDARFR095UJK")
    assert runs.label.tolist() == [f"block_{k}" for k in range(1, 6)]
    assert runs.n_windows.tolist() == [6, 5, 6, 5, 6]


def test_files_whose_fault_is_not_in_their_events_give_windows(quirks):
    """Release 3 states no number of channels, NDARUJ292JXV has six, NDARWV769JM7 shows no fault."""
    assert per_recording(find(HbnEyesTask(), quirks, "NDARAA948VFH")) == [70]
    assert per_recording(find(HbnChallenge1Task(), quirks, "NDARAA948VFH")) == [15]
    assert per_recording(find(HbnEyesTask(), quirks, "NDARUJ292JXV")) == [70]
    assert per_recording(find(HbnSymbolSearchTask(), quirks, "NDARUJ292JXV")) == [25]
    assert per_recording(find(HbnEyesTask(), quirks, "NDARWV769JM7")) == [70]
    assert per_recording(find(HbnChallenge1Task(), quirks, "NDARWV769JM7")) == [19, 23, 23]
