"""HBN, surround suppression: the condition of the stimulus."""

from dataclasses import replace
from typing import Any, ClassVar, Literal

import pandas as pd

from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Offset, PublishedClassesCut, Seconds
from eegfm.windows.cutters.event_locked import Anchor, windows_after_events
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.spans import own_events
from eegfm.windows.tasks.bids_tasks import OneBidsTaskCut

STIMULUS = "stim_ON"
CONDITIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "background": {"no_background": ("0",), "background": ("1",)},
    "foreground_contrast": {
        "contrast_0": ("0",),
        "contrast_30": ("0.3", "0.33"),
        "contrast_60": ("0.6", "0.66"),
        "contrast_100": ("1",),
    },
    "stimulus_cond": {"parallel_opposite_phase": ("1",), "parallel_in_phase": ("2",), "orthogonal": ("3",)},
}
"""Values by column of the events table and by label. The files write the contrasts as 0.3 and 0.6, their description
writes 0.33 and 0.66."""


class HbnSurroundSuppressionTask(PublishedClassesCut, OneBidsTaskCut):
    """One window per stimulus, which is on for 2.4 s: four discs that flicker at 25 Hz in front of a background.

    The background is a grating: parallel to the grating of the discs and in phase, parallel and in opposite phase, or
    orthogonal. Stimuli without a background also have a ``stimulus_cond``, but it describes nothing visible. For this
    condition only stimuli with a background count. Each run has 64 stimuli.

    Attributes:
        condition: Column of the events whose value is the label: ``background`` (present or absent),
            ``foreground_contrast`` (0, 30, 60 or 100 % for the discs), or ``stimulus_cond`` (background relative to
            the discs).
        offset_s: From the stimulus's onset to the window.
        length_s: Window length.
    """

    citation: ClassVar[str] = (
        "Vanegas et al. 2015, Electrophysiological indices of surround suppression in humans, doi "
        "10.1152/jn.00774.2014; as used in Langer et al. 2017, doi 10.1038/sdata.2017.40; conditions: HBN-EEG, "
        "task-surroundSupp_events.json"
    )

    bids_task = "surroundSupp"

    name: Literal["hbn_surround_suppression"] = "hbn_surround_suppression"
    condition: Literal["background", "foreground_contrast", "stimulus_cond"] = "background"
    offset_s: Offset = 0.0
    length_s: Seconds = 2.4

    @property
    def published(self) -> TargetSpec:
        """The condition."""
        return TargetSpec.of_classes(CONDITIONS[self.condition])

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """The condition's column beside the stimuli; see the base class."""
        stimuli, _ = own_events(recordings, events[events["value"] == STIMULUS])
        return f"stimuli (column {self.condition!r})", stimuli[self.condition]

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut after every stimulus; counted as in ``windows_after_events``."""
        counted: dict[str, int] = {}
        stimuli, _ = own_events(recordings, events[events["value"] == STIMULUS])
        if self.condition == "stimulus_cond" and "background" in stimuli:
            visible = stimuli["background"].isin(CONDITIONS["background"]["background"])
            counted["n_events_without_background"] = int((~visible).sum())
            stimuli = stimuli[visible]
        anchors = {
            label: Anchor(values=values, offset_s=self.offset_s, span_s=self.length_s)
            for label, values in CONDITIONS[self.condition].items()
        }
        runs = windows_after_events(
            recordings,
            stimuli,
            sample_grid,
            anchors,
            length_s=self.length_s,
            stride_s=self.length_s,
            column=self.condition,
        )
        counted["n_events_of_other_values"] = len(stimuli) - runs.counted["n_events"]
        return replace(runs, counted={**counted, **runs.counted})
