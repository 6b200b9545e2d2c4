"""Sex, female or male."""

from dataclasses import replace
from typing import Any, ClassVar, Literal

import pandas as pd

from eegfm.windows.cutters.base import Cut, Seconds, TargetSpec
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.recording_label import windows_with_label
from eegfm.windows.tasks.recording_value import check_bids_tasks, of_bids_tasks

CLASSES = ("F", "M")


class SexTask(Cut):
    """Windows at a fixed stride, labelled with the person's sex; of any corpus that knows it.

    Attributes:
        length_s: Window length; 2 s in the study that is cited.
        stride_s: From one window to the next; the window length by default.
        bids_tasks: Only recordings of these BIDS tasks; all by default. The study took ``RestingState``.
    """

    citation: ClassVar[str] = (
        "Truong et al. 2021, Deep convolutional neural network applied to electroencephalography: raw data vs spectral "
        "features (sex of HBN's children in 2-s windows), section II, doi 10.1109/EMBC46164.2021.9630708"
    )

    name: Literal["sex"] = "sex"
    length_s: Seconds = 2.0
    stride_s: Seconds | None = None
    bids_tasks: tuple[str, ...] = ()

    @property
    def target_spec(self) -> TargetSpec:
        """Female or male."""
        return TargetSpec("binary", CLASSES)

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse BIDS tasks that no recording has; see the base class."""
        check_bids_tasks(recordings, sample_grid, self.bids_tasks)

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """The sexes; see the base class."""
        return "recordings (column 'sex')", recordings["sex"]

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the recordings of known sex; see the base class."""
        chosen, counted = of_bids_tasks(recordings, sample_grid, self.bids_tasks)
        classes = {name: (name,) for name in CLASSES}
        stride_s = self.stride_s or self.length_s
        runs = windows_with_label(chosen, sample_grid, "sex", classes, length_s=self.length_s, stride_s=stride_s)
        return replace(runs, counted={**counted, **runs.counted})
