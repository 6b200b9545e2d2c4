"""Age in years."""

from dataclasses import replace
from typing import ClassVar, Literal

import pandas as pd

from eegfm.windows.cutters.base import Cut, Seconds, TargetSpec
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.recording_value import check_bids_tasks, of_bids_tasks, windows_with_value


class AgeTask(Cut):
    """Windows at a fixed stride whose target is the person's age; of any corpus that knows it.

    Attributes:
        length_s: Window length; 10 s in the benchmark that is cited.
        stride_s: From one window to the next; the window length by default.
        bids_tasks: Only recordings of these BIDS tasks; all by default.
    """

    citation: ClassVar[str] = (
        "Engemann et al. 2022, A reusable benchmark of brain-age prediction from M/EEG resting-state signals, section "
        "2 (data processing: epochs of 10 s), doi 10.1016/j.neuroimage.2022.119521"
    )

    name: Literal["age"] = "age"
    length_s: Seconds = 10.0
    stride_s: Seconds | None = None
    bids_tasks: tuple[str, ...] = ()

    @property
    def target_spec(self) -> TargetSpec:
        """Years."""
        return TargetSpec("regression", unit="years")

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse BIDS tasks that no recording has; see the base class."""
        check_bids_tasks(recordings, sample_grid, self.bids_tasks)

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the recordings of known age; see the base class."""
        chosen, counted = of_bids_tasks(recordings, sample_grid, self.bids_tasks)
        stride_s = self.stride_s or self.length_s
        runs = windows_with_value(chosen, sample_grid, "age_years", length_s=self.length_s, stride_s=stride_s)
        return replace(runs, counted={**counted, **runs.counted})
