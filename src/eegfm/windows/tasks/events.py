"""Classes from events, for any folder with events, by configuration alone."""

from typing import Any, ClassVar, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from eegfm.config import refuse_repeated
from eegfm.windows.cutters.base import Cut, Seconds, TargetSpec
from eegfm.windows.cutters.event_locked import Anchor, check_event_values, refuse_short_span, windows_after_events
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.spans import own_events
from eegfm.windows.tasks.recording_value import check_bids_tasks, of_bids_tasks


class EventsTask(Cut):
    """Windows after events, labelled by the kind of event.

    Attributes:
        anchors: By label, the events and the stretch after them.
        column: Column of the events table that holds the events' values, e.g. ``value`` or ``trial_type``.
        length_s: Window length.
        stride_s: From one window to the next; the window length by default.
        bids_task: Only recordings of this BIDS task; empty for all.
    """

    citation: ClassVar[str] = "none: the configuration defines it"
    without_class: ClassVar[str] = "add recordings of it, or leave it out of anchors"

    name: Literal["events"] = "events"
    anchors: dict[str, Anchor] = Field(min_length=1)
    column: str = "value"
    length_s: Seconds
    stride_s: Seconds | None = None
    bids_task: str = ""

    @model_validator(mode="after")
    def _values_are_distinct(self) -> Self:
        refuse_repeated([value for anchor in self.anchors.values() for value in anchor.values], "event value")
        for label, anchor in self.anchors.items():
            refuse_short_span(f"anchors.{label}.span_s", anchor.span_s, self.length_s)
        return self

    @property
    def target_spec(self) -> TargetSpec:
        """One class per anchor."""
        return TargetSpec("binary" if len(self.anchors) == 2 else "multiclass", tuple(self.anchors))

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse values that no event has, or a BIDS task that no recording has; see the base class."""
        bids_tasks = (self.bids_task,) if self.bids_task else ()
        check_bids_tasks(recordings, sample_grid, bids_tasks, "bids_task")
        values = {f"anchors.{label}.values": anchor.values for label, anchor in self.anchors.items()}
        chosen, _ = of_bids_tasks(recordings, sample_grid, bids_tasks)
        check_event_values(values, chosen, events, sample_grid, self.column)

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """The events' values; see the base class."""
        return f"events (column {self.column!r})", own_events(recordings, events)[0][self.column]

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut after every event; see the base class."""
        chosen = recordings[recordings["bids_task"] == self.bids_task] if self.bids_task else recordings
        return windows_after_events(
            chosen,
            events,
            sample_grid,
            self.anchors,
            length_s=self.length_s,
            stride_s=self.stride_s or self.length_s,
            column=self.column,
        )
