"""Presets of tasks whose answer is a trait of the person: age, sex, factors of psychopathology."""

from typing import ClassVar, Literal

import pandas as pd

from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Seconds
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.bids_tasks import SomeBidsTasksCut
from eegfm.windows.tasks.labelled_recordings import LabelledRecordingsTask
from eegfm.windows.tasks.recording_value import windows_with_value

Factor = Literal["p_factor", "attention", "internalizing", "externalizing"]


class AgeTask(SomeBidsTasksCut):
    """Windows at a fixed stride whose target is the person's age; of any corpus that knows it.

    Attributes:
        length_s: Window length; 10 s in the benchmark that is cited.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = (
        "Engemann et al. 2022, A reusable benchmark of brain-age prediction from M/EEG resting-state signals, section "
        "2 (data processing: epochs of 10 s), doi 10.1016/j.neuroimage.2022.119521"
    )

    name: Literal["age"] = "age"
    length_s: Seconds = 10.0
    stride_s: Seconds | None = None

    @property
    def target_spec(self) -> TargetSpec:
        """Years."""
        return TargetSpec("regression", unit="years")

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the recordings of known age; see the base class."""
        stride_s = self.stride_s or self.length_s
        return windows_with_value(recordings, sample_grid, "age_years", length_s=self.length_s, stride_s=stride_s)


class SexTask(LabelledRecordingsTask, SomeBidsTasksCut):
    """Windows at a fixed stride, labelled with the person's sex; of any corpus that knows it.

    Attributes:
        length_s: Window length; 2 s in the study that is cited, which took the BIDS task ``RestingState``.
    """

    citation: ClassVar[str] = (
        "Truong et al. 2021, Deep convolutional neural network applied to electroencephalography: raw data vs spectral "
        "features (sex of HBN's children in 2-s windows), section II, doi 10.1109/EMBC46164.2021.9630708"
    )

    column = "sex"
    classes: ClassVar = {"F": ("F",), "M": ("M",)}

    name: Literal["sex"] = "sex"
    length_s: Seconds = 2.0


class HbnFactorTask(SomeBidsTasksCut):
    """Windows at a fixed stride whose target is a factor score of the child, from what parents reported.

    The factors depend on age and sex (externalizing falls with age): a score that is no better than what age alone
    gives says nothing of the brain.

    Attributes:
        factor: Which of the four; the general one by default.
        length_s: Window length; 4 s in the second challenge, see ``hbn_challenge_2`` for its random crops.
        stride_s: From one window to the next.
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

    @property
    def target_spec(self) -> TargetSpec:
        """A score, about zero in the mean."""
        return TargetSpec("regression", unit="score")

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the recordings of children with a score; see the base class."""
        return windows_with_value(recordings, sample_grid, self.factor, length_s=self.length_s, stride_s=self.stride_s)
