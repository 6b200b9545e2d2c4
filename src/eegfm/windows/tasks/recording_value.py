"""Values of whole recordings as targets, optionally for some BIDS tasks only."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from eegfm.errors import SplitError
from eegfm.named import refuse_unmatched
from eegfm.windows.cutters.fixed import fixed_windows
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.recording_label import required_column


def windows_with_value(
    recordings: pd.DataFrame, sample_grid: SampleGrid, column: str, *, length_s: float, stride_s: float
) -> Runs:
    """Windows at a fixed stride with a value of their recording as target.

    Returns:
        One run per segment. Counted: ``n_recordings_without_label``, ``n_recordings_without_window``.

    Raises:
        ConfigError: The column is missing, or a length is no whole number of samples.
        SplitError: A value is no number, or infinite.
    """
    valued, n_without = with_value(recordings, sample_grid, column)
    found = fixed_windows(valued, sample_grid, length_s, stride_s)
    target = valued[column].loc[pd.Index(found.recording)].to_numpy(dtype=float)
    return replace(found, target=target, counted={"n_recordings_without_label": n_without, **found.counted})


def with_value(recordings: pd.DataFrame, sample_grid: SampleGrid, column: str) -> tuple[pd.DataFrame, int]:
    """Recordings with a number in a column, their numbers as floats, and the count of recordings without one.

    Raises:
        ConfigError: The column is missing.
        SplitError: A value is no number, or infinite.
    """
    required_column(recordings, sample_grid, column)
    texts = recordings[column]
    numbers = pd.to_numeric(texts, errors="coerce").astype("float64")
    missing = texts.isna() | (texts.astype("str") == "")
    wrong = (numbers.isna() & ~missing) | np.isinf(numbers)
    if wrong.any():
        name = recordings.loc[wrong, "recording_id"].iloc[0]
        raise SplitError(
            f"cut {sample_grid.cut!r}: {column} of {name} is {texts[wrong].iloc[0]}; it must be a finite number, "
            "or missing; correct the corpus's table of participants"
        )
    return recordings.assign(**{column: numbers})[~missing], int(missing.sum())


def check_bids_tasks(
    recordings: pd.DataFrame,
    sample_grid: SampleGrid,
    bids_tasks: Sequence[str],
    key: str = "bids_tasks",
    *,
    is_given: bool = True,
) -> None:
    """Refuse BIDS tasks that no recording has.

    The user did not name the tasks of a default, so one matching task of a default is enough.

    Args:
        recordings: All recordings of the corpus.
        sample_grid: Name of the cut.
        bids_tasks: Configured tasks; empty for all.
        key: The parameter that holds the tasks.
        is_given: Whether the user named the tasks; False for a default.

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
