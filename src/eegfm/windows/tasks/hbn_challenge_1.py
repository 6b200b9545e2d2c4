"""EEG Foundation Challenge 2025, challenge 1: reaction time until the button press."""

from typing import ClassVar, Literal

import pandas as pd

from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Offset, Seconds
from eegfm.windows.cutters.trials import TrialsCut
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.bids_tasks import OneBidsTaskCut


class HbnChallenge1Task(OneBidsTaskCut):
    """One window per answered trial of contrastChangeDetection; the target is the time from stimulus to response.

    A trial lasts from ``contrastTrial_start`` to the next one, so the last trial of a run is lost. Its stimulus is the
    first ``left_target`` or ``right_target`` of the trial. Its response is the first button press at or after the
    stimulus. Correct and wrong responses count alike. Nearly all windows contain the press.

    Attributes:
        offset_s: From the stimulus to the window.
        length_s: Window length.
    """

    citation: ClassVar[str] = (
        "EEG Foundation Challenge 2025, local_scoring.py (challenge 1) of the start kit; trials: build_trial_table of "
        "EEGDash, eegdash/hbn/windows.py; paradigm: Langer et al. 2017, doi 10.1038/sdata.2017.40"
    )

    bids_task = "contrastChangeDetection"

    name: Literal["hbn_challenge_1"] = "hbn_challenge_1"
    offset_s: Offset = 0.5
    length_s: Seconds = 2.0

    @property
    def target_spec(self) -> TargetSpec:
        """Seconds."""
        return TargetSpec("regression", unit="s")

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut at every answered trial; counted as in ``eegfm.windows.cutters.trials``."""
        cut = TrialsCut(
            start=("contrastTrial_start",),
            stimulus=("left_target", "right_target"),
            response=("left_buttonPress", "right_buttonPress"),
            offset_s=self.offset_s,
            length_s=self.length_s,
            target="reaction_time_s",
        )
        return cut.find(recordings, events, sample_grid)
