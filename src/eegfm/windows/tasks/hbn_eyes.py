"""HBN, resting state: eyes open or closed."""

from typing import ClassVar, Literal, Self

import pandas as pd
from pydantic import model_validator

from eegfm.config import refuse_repeated
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Seconds
from eegfm.windows.cutters.event_locked import Anchor, check_event_values, refuse_short_span, windows_after_events
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.bids_tasks import OneBidsTaskCut


class HbnEyesTask(OneBidsTaskCut):
    """Windows after the instructions to close and to open the eyes.

    With the values of EEGDash each instruction gives seven windows: at 15, 17, … 27 s after *close*, at 5, 7, … 17 s
    after *open*. Eyes are closed for 40 s and open for 20 s. A stretch ends early at the other instruction.

    Attributes:
        closed: The stretch with closed eyes.
        open: The stretch with open eyes.
        length_s: Window length.
        stride_s: From one window to the next.
    """

    citation: ClassVar[str] = (
        "hbn_ec_ec_reannotation of EEGDash, eegdash/hbn/preprocessing.py; paradigm: Langer et al. 2017, doi "
        "10.1038/sdata.2017.40"
    )

    bids_task = "RestingState"

    name: Literal["hbn_eyes"] = "hbn_eyes"
    closed: Anchor = Anchor(values=("instructed_toCloseEyes",), offset_s=15.0, span_s=14.0)
    open: Anchor = Anchor(values=("instructed_toOpenEyes",), offset_s=5.0, span_s=14.0)
    length_s: Seconds = 2.0
    stride_s: Seconds = 2.0

    @model_validator(mode="after")
    def _values_are_distinct(self) -> Self:
        refuse_repeated([*self.closed.values, *self.open.values], "event value")
        for key, anchor in (("closed", self.closed), ("open", self.open)):
            refuse_short_span(f"{key}.span_s", anchor.span_s, self.length_s)
        return self

    @property
    def target_spec(self) -> TargetSpec:
        """Closed or open."""
        return TargetSpec("binary", ("closed", "open"))

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse values that no event has; see the base class."""
        chosen, _ = self.choose(recordings, sample_grid)
        values = {"closed.values": self.closed.values, "open.values": self.open.values}
        check_event_values(values, chosen, events, sample_grid)

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut after every instruction; counted as in ``windows_after_events``."""
        anchors = {"closed": self.closed, "open": self.open}
        return windows_after_events(
            recordings, events, sample_grid, anchors, length_s=self.length_s, stride_s=self.stride_s
        )
