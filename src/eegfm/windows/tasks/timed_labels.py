"""Classes of stretches of time that a table gives for whole recordings, by configuration alone."""

from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from eegfm.config import StrictModel, refuse_repeated
from eegfm.named import refuse_unmatched
from eegfm.recording import normalized_subject
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Cut, Seconds
from eegfm.windows.intervals import Intervals, windows_of_one_class
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.spans import nearest_sample, segments
from eegfm.windows.tasks.recording_label import class_text, value_text
from eegfm.windows.tasks.recording_value import required_column
from eegfm.windows.unlabelled import label_faults

Start = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Stretch(StrictModel):
    """A stretch of time with a class.

    Args:
        label: The class.
        start_s: Its start in recording time: from the first sample of the file, gaps counted.
        stop_s: Its end; by default that of the recording.
    """

    label: str
    start_s: Start
    stop_s: Seconds | None = None


class TimedLabelsTask(Cut):
    """Windows wholly inside stretches of nominal times, where recordings of one kind have one order of conditions.

    Time that no stretch names gives no windows. A condition's start as a person really did it is not known to the
    second, so leave some seconds out on both sides of a nominal boundary.

    Attributes:
        column: Column of the recordings table that names the order, e.g. ``Eyes.condition`` of a table of labels.
        stretches: By value of the column, the stretches of such a recording in the order of time; recordings with other
            values are left out.
        subjects_left_out: Subjects whose recordings do not keep to the nominal times, each with the reason.
        length_s: Window length.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = "none: the configuration defines it"
    without_class: ClassVar[str] = "add recordings of it, or leave it out of stretches"

    name: Literal["timed_labels"] = "timed_labels"
    column: str
    stretches: dict[str, Annotated[tuple[Stretch, ...], Field(min_length=1)]] = Field(min_length=1)
    subjects_left_out: dict[str, str] = Field(default_factory=dict)
    length_s: Seconds
    stride_s: Seconds | None = None

    @model_validator(mode="after")
    def _stretches_follow_each_other(self) -> Self:
        for value, own in self.stretches.items():
            for stretch in own:
                if stretch.stop_s is not None and stretch.stop_s < stretch.start_s + self.length_s:
                    raise ValueError(
                        f"stretches.{value}: {stretch.start_s:g} to {stretch.stop_s:g} s is shorter than a window of "
                        f"{self.length_s:g} s"
                    )
            for one, following in pairwise(own):
                if one.stop_s is None or following.start_s < one.stop_s:
                    raise ValueError(
                        f"stretches.{value}: {following.label!r} starts at {following.start_s:g} s, before the end of "
                        f"{one.label!r}; list stretches in the order of time, without overlap"
                    )
        refuse_repeated([normalized_subject(name) for name in self.subjects_left_out], "subject")
        if len(self.target_spec.classes) < 2:
            raise ValueError("stretches: all have one label; two or more classes are needed")
        return self

    @property
    def target_spec(self) -> TargetSpec:
        """The labels, in the order in which they are first named."""
        return TargetSpec.of_classes(dict.fromkeys(s.label for own in self.stretches.values() for s in own))

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse values of the column, or subjects, that no recording has; see the base class."""
        column = required_column(recordings, sample_grid, self.column)
        names = [class_text(value, column) for value in self.stretches]
        where, what = f"cut {sample_grid.cut!r}", f"recordings (column {self.column!r})"
        refuse_unmatched(f"{where}: stretches", names, column.map(value_text), what, label_faults(recordings))
        subjects = _subjects(recordings)
        absent = [name for name in self.subjects_left_out if normalized_subject(name) not in set(subjects)]
        refuse_unmatched(f"{where}: subjects_left_out", absent, subjects, "recordings (subject)")

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """The column; see the base class."""
        return f"recordings (column {self.column!r})", recordings[self.column].map(value_text)

    def choose(self, recordings: pd.DataFrame, sample_grid: SampleGrid) -> tuple[pd.DataFrame, dict[str, int]]:
        """Choose the recordings of the other subjects; see the base class."""
        names = [normalized_subject(name) for name in self.subjects_left_out]
        chosen = recordings[~_subjects(recordings).isin(names)]
        return chosen, {"n_recordings_of_subjects_left_out": len(recordings) - len(chosen)}

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut inside the stretches; see the base class."""
        column = required_column(recordings, sample_grid, self.column)
        of_value = {class_text(value, column): own for value, own in self.stretches.items()}
        order = column.map(value_text).map(of_value)
        labelled = recordings[order.notna()]
        classes = self.target_spec.classes
        parts = [
            _within(labelled, row, stretch, classes.index(stretch.label), sample_grid.rate_hz)
            for row, own in order[order.notna()].items()
            for stretch in own
        ]
        none = Intervals(*(np.zeros(0, dtype=np.int64) for _ in range(4)))
        intervals = none
        for part in parts:
            intervals = intervals.join(part)
        stride_s = self.stride_s or self.length_s
        runs, key = windows_of_one_class(labelled, intervals, len(classes), sample_grid, self.length_s, stride_s)
        counted = {
            "n_recordings_without_label": len(recordings) - len(labelled),
            "n_recordings_without_window": len(labelled) - len(np.unique(runs.recording)),
            **runs.counted,
        }
        return replace(runs, label=np.array(classes, dtype=object)[key], counted=counted)


def _subjects(recordings: pd.DataFrame) -> "pd.Series[str]":
    """Normalized subject ids."""
    return recordings["person"].map(lambda person: person.partition(":")[2])


def _within(recordings: pd.DataFrame, row: Any, stretch: Stretch, key: int, rate_hz: float) -> Intervals:
    """The stretch in stored samples: its part of each segment of the recording."""
    one = recordings.loc[[row]]
    found = segments(one)
    first = found["start"].astype(np.float64)
    onset = first
    if "segment_onsets_s" in one:
        onset = np.asarray(one["segment_onsets_s"].iloc[0], dtype=np.float64) * rate_hz
    stop_s = np.inf if stretch.stop_s is None else stretch.stop_s
    start = np.clip(nearest_sample(first + stretch.start_s * rate_hz - onset), found["start"], found["stop"])
    stop = np.clip(nearest_sample(first + stop_s * rate_hz - onset), found["start"], found["stop"])
    return Intervals(found["recording"], start, stop, np.full(len(start), key, dtype=np.int64))
