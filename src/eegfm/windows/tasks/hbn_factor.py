"""HBN: one of the four dimensions of psychopathology."""

from dataclasses import replace
from typing import ClassVar, Literal

import pandas as pd

from eegfm.windows.cutters.base import Cut, Seconds, TargetSpec
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.recording_value import check_bids_tasks, of_bids_tasks, windows_with_value

Factor = Literal["p_factor", "attention", "internalizing", "externalizing"]


class HbnFactorTask(Cut):
    """Windows at a fixed stride whose target is a factor score of the child, from what parents reported.

    The factors depend on age and sex (externalizing falls with age): a score that is no better than what age alone
    gives says nothing of the brain.

    Attributes:
        factor: Which of the four; the general one by default.
        length_s: Window length; 4 s in the second challenge, see ``hbn_challenge_2`` for its random crops.
        stride_s: From one window to the next.
        bids_tasks: Only recordings of these BIDS tasks; all by default.
    """

    citation: ClassVar[str] = (
        "Shirazi et al. 2024, HBN-EEG: the FAIR implementation of the Healthy Brain Network EEG dataset, doi "
        "10.1101/2024.10.03.615261, participants.tsv (bifactor model of the Child Behavior Checklist); windows: EEG "
        "Foundation Challenge 2025, start kit, challenge_2.py"
    )

    name: Literal["hbn_factor"] = "hbn_factor"
    factor: Factor = "p_factor"
    length_s: Seconds = 4.0
    stride_s: Seconds = 2.0
    bids_tasks: tuple[str, ...] = ()

    @property
    def target_spec(self) -> TargetSpec:
        """A score, about zero in the mean."""
        return TargetSpec("regression", unit="score")

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse BIDS tasks that no recording has; see the base class."""
        check_bids_tasks(recordings, sample_grid, self.bids_tasks)

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the recordings of children with a score; see the base class."""
        chosen, counted = of_bids_tasks(recordings, sample_grid, self.bids_tasks)
        runs = windows_with_value(chosen, sample_grid, self.factor, length_s=self.length_s, stride_s=self.stride_s)
        return replace(runs, counted={**counted, **runs.counted})
