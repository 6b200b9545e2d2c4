"""Recordings of other BIDS tasks are left out and counted."""

import pytest

from eegfm.errors import ConfigError
from eegfm.windows.cutters.base import Cut
from eegfm.windows.runs import SampleGrid
from eegfm.windows.tasks.hbn_challenge_2 import HbnChallenge2Task
from eegfm.windows.tasks.hbn_eyes import HbnEyesTask
from eegfm.windows.tasks.hbn_movies import HbnMoviesTask
from eegfm.windows.tasks.traits import AgeTask

GRID = SampleGrid(100.0, "x")
TASKS = ["RestingState", "ThePresent", "", "RestingState"]


@pytest.mark.parametrize(
    ("task", "chosen", "counted"),
    [
        (HbnEyesTask(), [0, 3], {"n_recordings_of_other_tasks": 2}),
        (HbnMoviesTask(), [1], {"n_recordings_of_other_tasks": 3}),
        (AgeTask(), [0, 1, 2, 3], {}),
        (AgeTask(bids_tasks=("RestingState", "ThePresent")), [0, 1, 3], {"n_recordings_of_other_tasks": 1}),
        (HbnChallenge2Task(), [], {"n_recordings_of_other_tasks": 4}),
    ],
)
def test_recordings_are_chosen_by_their_bids_task(
    recordings, events, task: Cut, chosen: list[int], counted: dict[str, int]
) -> None:
    table = recordings([[(0, 2500)]] * 4, bids_task=TASKS, age_years=[1, 2, 3, 4], externalizing=0.0)
    found, n = task.choose(table, GRID)
    assert (found.index.tolist(), n) == (chosen, counted), "index labels are kept"
    runs = task.find(table, events([]), GRID)
    assert dict(list(runs.counted.items())[: len(counted)]) == counted


def test_recordings_without_the_column_are_told(recordings) -> None:
    table = recordings([[(0, 2500)]]).drop(columns="bids_task")
    for task in (HbnEyesTask(), HbnMoviesTask(), AgeTask(bids_tasks=("a",))):
        with pytest.raises(ConfigError, match="cut 'x': recordings have no column 'bids_task'"):
            task.choose(table, GRID)
