"""Values of whole recordings as targets of windows at a fixed stride."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from eegfm.errors import ConfigError, SplitError
from eegfm.windows.cutters.fixed import fixed_windows
from eegfm.windows.runs import Runs, SampleGrid


def windows_with_value(
    recordings: pd.DataFrame, sample_grid: SampleGrid, column: str, *, length_s: float, stride_s: float
) -> Runs:
    """Windows at a fixed stride whose target is a number of their recording.

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
    """Recordings that have a number in a column, as floats, and how many have none.

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


def required_column(recordings: pd.DataFrame, sample_grid: SampleGrid, column: str) -> "pd.Series[Any]":
    """A column of the recordings table.

    Raises:
        ConfigError: There is none of that name.
    """
    if column not in recordings:
        raise ConfigError(
            f"cut {sample_grid.cut!r}: recordings have no column {column!r}; there are {sorted(map(str, recordings))}"
        )
    values: pd.Series[Any] = recordings[column]
    return values
