"""Bases of tasks that look at the recordings of some BIDS tasks only."""

from collections.abc import Sequence
from typing import ClassVar

import pandas as pd

from eegfm.named import refuse_unmatched
from eegfm.windows.cutters.base import Cut
from eegfm.windows.runs import SampleGrid
from eegfm.windows.tasks.recording_value import required_column


class OneBidsTaskCut(Cut):
    """Base of tasks whose definition names the BIDS task. Recordings of others are counted."""

    bids_task: ClassVar[str]

    def choose(self, recordings: pd.DataFrame, sample_grid: SampleGrid) -> tuple[pd.DataFrame, dict[str, int]]:
        """Choose the recordings of the BIDS task; see the base class."""
        return of_bids_tasks(recordings, sample_grid, [self.bids_task])


class OptionalBidsTaskCut(Cut):
    """Base of tasks by configuration alone. Recordings of other BIDS tasks are not counted.

    Attributes:
        bids_task: Only recordings of this BIDS task; empty for all.
    """

    bids_task: str = ""

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse a BIDS task that no recording has; see the base class."""
        check_bids_tasks(recordings, sample_grid, [self.bids_task] if self.bids_task else [], "bids_task")

    def choose(self, recordings: pd.DataFrame, sample_grid: SampleGrid) -> tuple[pd.DataFrame, dict[str, int]]:
        """Choose the recordings of the BIDS task; see the base class."""
        return of_bids_tasks(recordings, sample_grid, [self.bids_task] if self.bids_task else [])[0], {}


class SomeBidsTasksCut(Cut):
    """Base of tasks for which the user names BIDS tasks. Recordings of others are counted.

    Attributes:
        bids_tasks: Only recordings of these BIDS tasks; all where none is named.
    """

    bids_tasks: tuple[str, ...] = ()

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse given BIDS tasks that no recording has; see the base class."""
        is_given = "bids_tasks" in self.model_fields_set
        check_bids_tasks(recordings, sample_grid, self.bids_tasks, is_given=is_given)

    def choose(self, recordings: pd.DataFrame, sample_grid: SampleGrid) -> tuple[pd.DataFrame, dict[str, int]]:
        """Choose the recordings of the named BIDS tasks; see the base class."""
        return of_bids_tasks(recordings, sample_grid, self.bids_tasks)


def check_bids_tasks(
    recordings: pd.DataFrame,
    sample_grid: SampleGrid,
    bids_tasks: Sequence[str],
    key: str = "bids_tasks",
    *,
    is_given: bool = True,
) -> None:
    """Refuse BIDS tasks that no recording has.

    Nobody asked for those of a default: one of them is enough.

    Args:
        recordings: All of the corpus.
        sample_grid: Name of the cut.
        bids_tasks: What is configured; nothing for all.
        key: The parameter that holds them.
        is_given: Whether they are no default.

    Raises:
        ConfigError: With the tasks that there are, or the recordings have no column ``bids_task``.
    """
    if bids_tasks:
        tasks = required_column(recordings, sample_grid, "bids_task")
        if not is_given and tasks.isin(bids_tasks).any():
            return
        refuse_unmatched(f"cut {sample_grid.cut!r}: {key}", bids_tasks, tasks, "recordings (column 'bids_task')")


def of_bids_tasks(
    recordings: pd.DataFrame, sample_grid: SampleGrid, bids_tasks: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Recordings of some BIDS tasks, of all where none is named; and how many are of others.

    Raises:
        ConfigError: The recordings have no column ``bids_task``.
    """
    if not bids_tasks:
        return recordings, {}
    required_column(recordings, sample_grid, "bids_task")
    chosen = recordings[recordings["bids_task"].isin(bids_tasks)]
    return chosen, {"n_recordings_of_other_tasks": len(recordings) - len(chosen)}
