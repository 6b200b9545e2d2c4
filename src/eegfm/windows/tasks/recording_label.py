"""Classes of whole recordings from any column of the recordings table, by configuration alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from eegfm.config import refuse_repeated
from eegfm.named import refuse_unmatched
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Seconds
from eegfm.windows.cutters.fixed import fixed_windows
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.bids_tasks import OptionalBidsTaskCut
from eegfm.windows.tasks.recording_value import required_column
from eegfm.windows.unlabelled import label_faults


class RecordingLabelTask(OptionalBidsTaskCut):
    """Windows at a fixed stride whose label is that of their recording.

    Attributes:
        column: Column of the recordings table, e.g. ``run`` or ``pathology``.
        classes: By label, the column's values, e.g. ``{"open": ["R01"], "closed": ["R02"]}``; recordings with
            other values are left out.
        length_s: Window length.
        stride_s: From one window to the next.
    """

    citation: ClassVar[str] = "none: the configuration defines it"
    without_class: ClassVar[str] = "add recordings of it, or leave it out of classes"

    name: Literal["recording_label"] = "recording_label"
    column: str
    classes: dict[str, tuple[str, ...]] = Field(min_length=1)
    length_s: Seconds
    stride_s: Seconds

    @model_validator(mode="after")
    def _values_are_distinct(self) -> Self:
        refuse_repeated([value for values in self.classes.values() for value in values], "column value")
        return self

    @property
    def target_spec(self) -> TargetSpec:
        """One class per label."""
        return TargetSpec.of_classes(self.classes)

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse values that no recording has, of the column or of the BIDS task; see the base class."""
        super().check_names(recordings, events, sample_grid)
        chosen, _ = self.choose(recordings, sample_grid)
        column = required_column(chosen, sample_grid, self.column)
        found = column.map(value_text)
        for label, values in self.classes.items():
            what, why = f"recordings (column {self.column!r})", label_faults(chosen)
            names = [class_text(value, column) for value in values]
            refuse_unmatched(f"cut {sample_grid.cut!r}: classes.{label}", names, found, what, why)

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """The column; see the base class."""
        return f"recordings (column {self.column!r})", recordings[self.column].map(value_text)

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the labelled recordings; see the base class."""
        return windows_with_label(
            recordings, sample_grid, self.column, self.classes, length_s=self.length_s, stride_s=self.stride_s
        )


def value_text(value: Any) -> str:
    """Text of a label; "" if it is missing. The number 1.0 is ``1``."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def class_text(name: str, column: "pd.Series[Any]") -> str:
    """Text of a configured value, for ``value_text``: in a column of numbers, ``1`` and ``1.0`` are the same."""
    if not pd.api.types.is_float_dtype(column):
        return name
    try:
        return value_text(float(name))
    except ValueError:
        return name


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
    label_of_value = {class_text(name, values): label for label, names in classes.items() for name in names}
    labels = pd.Series([label_of_value.get(value_text(v)) for v in values], index=recordings.index, dtype=object)
    labelled = recordings[labels.notna()]
    found = fixed_windows(labelled, sample_grid, length_s, stride_s)
    label = labels.loc[pd.Index(found.recording)].to_numpy(dtype=object)
    return replace(
        found, label=label, counted={"n_recordings_without_label": int(labels.isna().sum()), **found.counted}
    )
