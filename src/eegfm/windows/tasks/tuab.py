"""TUAB: is the recording normal or abnormal."""

from typing import ClassVar, Literal

import pandas as pd

from eegfm.windows.cutters.base import Answer, Cut, Seconds
from eegfm.windows.runs import Clock, Runs
from eegfm.windows.tasks.recording_label import windows_with_label

CLASSES = ("normal", "abnormal")


class TuabTask(Cut):
    """Windows at a fixed stride, labelled with what the physician found in the whole recording.

    Attributes:
        length_s: Window length; 10 s in BIOT, LaBraM and CBraMod, 5 s in BioFoundation.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = (
        "Lopez et al. 2015, Automated identification of abnormal adult EEGs (TUAB v3.0.1); windows: BIOT, Yang et al. "
        "2023, datasets/TUAB/process.py"
    )

    name: Literal["tuab"] = "tuab"
    length_s: Seconds = 10.0
    stride_s: Seconds | None = None

    @property
    def answer(self) -> Answer:
        """Normal or abnormal."""
        return Answer("binary", CLASSES)

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, clock: Clock) -> Runs:
        """Fill the labelled recordings; see the base class."""
        classes = {name: (name,) for name in CLASSES}
        stride_s = self.stride_s or self.length_s
        return windows_with_label(recordings, clock, "pathology", classes, length_s=self.length_s, stride_s=stride_s)
