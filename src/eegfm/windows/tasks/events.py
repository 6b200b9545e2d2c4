"""Classes after events: any folder with events, by configuration alone."""

from typing import ClassVar, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from eegfm.windows.cutters.base import Answer, Cut, Seconds
from eegfm.windows.cutters.event_locked import Anchor, refuse_repeated, windows_after_events
from eegfm.windows.runs import Clock, Runs


class EventsTask(Cut):
    """Windows after events, labelled by what the event was.

    Attributes:
        anchors: By label, which events it follows and where its windows lie.
        column: Column of the events table that holds the events' values, e.g. ``value`` or ``trial_type``.
        length_s: Window length.
        stride_s: From one window to the next; the window length by default.
        bids_task: Only recordings of this BIDS task; empty for all.
    """

    citation: ClassVar[str] = "none: the configuration defines it"

    name: Literal["events"] = "events"
    anchors: dict[str, Anchor] = Field(min_length=1)
    column: str = "value"
    length_s: Seconds
    stride_s: Seconds | None = None
    bids_task: str = ""

    @model_validator(mode="after")
    def _values_are_distinct(self) -> Self:
        refuse_repeated([value for anchor in self.anchors.values() for value in anchor.values], "event value")
        return self

    @property
    def answer(self) -> Answer:
        """One class per anchor."""
        return Answer("binary" if len(self.anchors) == 2 else "multiclass", tuple(self.anchors))

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, clock: Clock) -> Runs:
        """Cut after every event; see the base class."""
        chosen = recordings[recordings["task"] == self.bids_task] if self.bids_task else recordings
        return windows_after_events(
            chosen,
            events,
            clock,
            self.anchors,
            length_s=self.length_s,
            stride_s=self.stride_s or self.length_s,
            column=self.column,
        )
