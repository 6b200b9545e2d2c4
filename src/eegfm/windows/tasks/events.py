"""Classes from events, for any folder with events, by configuration alone."""

from typing import Any, ClassVar, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from eegfm.config import refuse_repeated
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Seconds
from eegfm.windows.cutters.event_locked import Anchor, check_event_values, refuse_short_span, windows_after_events
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.spans import own_events
from eegfm.windows.tasks.bids_tasks import OptionalBidsTaskCut


class EventsTask(OptionalBidsTaskCut):
    """Windows after events, labelled by what the event was.

    Attributes:
        anchors: By label, which events it follows and where its windows lie.
        column: Column of the events table that holds the events' values, e.g. ``value`` or ``trial_type``.
        length_s: Window length.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = "none: the configuration defines it"
    without_class: ClassVar[str] = "add recordings of it, or leave it out of anchors"

    name: Literal["events"] = "events"
    anchors: dict[str, Anchor] = Field(min_length=1)
    column: str = "value"
    length_s: Seconds
    stride_s: Seconds | None = None

    @model_validator(mode="after")
    def _values_are_distinct(self) -> Self:
        refuse_repeated([value for anchor in self.anchors.values() for value in anchor.values], "event value")
        for label, anchor in self.anchors.items():
            refuse_short_span(f"anchors.{label}.span_s", anchor.span_s, self.length_s)
        return self

    @property
    def target_spec(self) -> TargetSpec:
        """One class per anchor."""
        return TargetSpec.of_classes(self.anchors)

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse values that no event has, or a BIDS task that no recording has; see the base class."""
        super().check_names(recordings, events, sample_grid)
        values = {f"anchors.{label}.values": anchor.values for label, anchor in self.anchors.items()}
        chosen, _ = self.choose(recordings, sample_grid)
        check_event_values(values, chosen, events, sample_grid, self.column)

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """The events' values; see the base class."""
        return f"events (column {self.column!r})", own_events(recordings, events)[0][self.column]

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut after every event; see the base class."""
        return windows_after_events(
            recordings,
            events,
            sample_grid,
            self.anchors,
            length_s=self.length_s,
            stride_s=self.stride_s or self.length_s,
            column=self.column,
        )
