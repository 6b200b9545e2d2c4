"""Classes of whole recordings from any column of the recordings table, by configuration alone."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from eegfm.config import refuse_repeated
from eegfm.errors import ConfigError
from eegfm.named import refuse_unmatched
from eegfm.windows.cutters.base import Cut, Seconds, TargetSpec
from eegfm.windows.cutters.fixed import fixed_windows
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.unlabelled import label_faults


class RecordingLabelTask(Cut):
    """Windows at a fixed stride with the label of their recording.

    Attributes:
        column: Column of the recordings table, e.g. ``run`` or ``pathology``.
        classes: By label, the column's values, e.g. ``{"open": ["R01"], "closed": ["R02"]}``; recordings with
            other values are left out.
        length_s: Window length.
        stride_s: From one window to the next.
        bids_task: Only recordings of this BIDS task; empty for all.
    """

    citation: ClassVar[str] = "none: the configuration defines it"
    without_class: ClassVar[str] = "add recordings of it, or leave it out of classes"

    name: Literal["recording_label"] = "recording_label"
    column: str
    classes: dict[str, tuple[str, ...]] = Field(min_length=1)
    length_s: Seconds
    stride_s: Seconds
    bids_task: str = ""

    @model_validator(mode="after")
    def _values_are_distinct(self) -> Self:
        refuse_repeated([value for values in self.classes.values() for value in values], "column value")
        return self

    @property
    def target_spec(self) -> TargetSpec:
        """One class per label."""
        return TargetSpec("binary" if len(self.classes) == 2 else "multiclass", tuple(self.classes))

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse values that no recording has, of the column or of the BIDS task; see the base class."""
        where = f"cut {sample_grid.cut!r}"
        if self.bids_task:
            tasks = required_column(recordings, sample_grid, "bids_task")
            refuse_unmatched(f"{where}: bids_task", [self.bids_task], tasks, "recordings (column 'bids_task')")
            recordings = recordings[tasks == self.bids_task]
        found = required_column(recordings, sample_grid, self.column)
        for label, values in self.classes.items():
            what, why = f"recordings (column {self.column!r})", label_faults(recordings)
            refuse_unmatched(f"{where}: classes.{label}", values, found, what, why)

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """The column; see the base class."""
        return f"recordings (column {self.column!r})", recordings[self.column]

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the labelled recordings; see the base class."""
        chosen = recordings[recordings["bids_task"] == self.bids_task] if self.bids_task else recordings
        return windows_with_label(
            chosen, sample_grid, self.column, self.classes, length_s=self.length_s, stride_s=self.stride_s
        )


class LabelledRecordingsTask(Cut):
    """Base of tasks whose answer is fixed for a whole recording: windows at a fixed stride.

    Attributes:
        length_s: Window length.
        stride_s: From one window to the next; the window length by default.
    """

    column: ClassVar[str]
    classes: ClassVar[Mapping[str, tuple[str, ...]]]

    length_s: Seconds
    stride_s: Seconds | None = None

    @property
    def target_spec(self) -> TargetSpec:
        """One of two or more classes."""
        return TargetSpec("binary" if len(self.classes) == 2 else "multiclass", tuple(self.classes))

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """The column; see the base class."""
        return f"recordings (column {self.column!r})", recordings[self.column]

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the labelled recordings; see the base class."""
        stride_s = self.stride_s or self.length_s
        return windows_with_label(
            recordings, sample_grid, self.column, self.classes, length_s=self.length_s, stride_s=stride_s
        )


def windows_with_label(
    recordings: pd.DataFrame,
    sample_grid: SampleGrid,
    column: str,
    classes: Mapping[str, Sequence[str]],
    *,
    length_s: float,
    stride_s: float,
) -> Runs:
    """Windows at a fixed stride, labelled by a column of the recordings table.

    Returns:
        One run per segment. Counted: ``n_recordings_without_label``, ``n_recordings_without_window``.

    Raises:
        ConfigError: The column is missing, or a length is no whole number of samples.
    """
    values = required_column(recordings, sample_grid, column)
    label_of_value = {value: label for label, values in classes.items() for value in values}
    labels = pd.Series([label_of_value.get(str(v)) for v in values], index=recordings.index, dtype=object)
    labelled = recordings[labels.notna()]
    found = fixed_windows(labelled, sample_grid, length_s, stride_s)
    return Runs(
        recording=found.recording,
        segment=found.segment,
        start=found.start,
        n_samples=found.n_samples,
        stride=found.stride,
        n_windows=found.n_windows,
        label=labels.loc[pd.Index(found.recording)].to_numpy(dtype=object),
        counted={"n_recordings_without_label": int(labels.isna().sum()), **found.counted},
    )


def required_column(recordings: pd.DataFrame, sample_grid: SampleGrid, column: str) -> "pd.Series[Any]":
    """A column of the recordings table.

    Raises:
        ConfigError: No column has this name.
    """
    if column not in recordings:
        raise ConfigError(
            f"cut {sample_grid.cut!r}: recordings have no column {column!r}; there are {sorted(map(str, recordings))}"
        )
    values: pd.Series[Any] = recordings[column]
    return values
