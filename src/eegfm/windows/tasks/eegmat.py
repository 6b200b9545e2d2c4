"""eegmat: at rest or subtracting numbers."""

from typing import ClassVar, Literal

import pandas as pd

from eegfm.windows.cutters.base import Answer, Cut, Seconds
from eegfm.windows.runs import Clock, Runs
from eegfm.windows.tasks.recording_label import windows_with_label

RUNS = {"rest": ("1", "01"), "arithmetic": ("2", "02")}


class EegmatTask(Cut):
    """Windows at a fixed stride: before the task (run 1) and during serial subtraction (run 2).

    Attributes:
        length_s: Window length; 5 s in CBraMod and BioFoundation.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = (
        "Zyma et al. 2019, Electroencephalograms during mental arithmetic task performance, doi 10.3390/data4010014 "
        "(https://physionet.org/content/eegmat/1.0.0/); windows: CBraMod, Wang et al. 2025"
    )

    name: Literal["eegmat"] = "eegmat"
    length_s: Seconds = 5.0
    stride_s: Seconds | None = None

    @property
    def answer(self) -> Answer:
        """At rest or calculating."""
        return Answer("binary", tuple(RUNS))

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, clock: Clock) -> Runs:
        """Fill both runs; see the base class."""
        stride_s = self.stride_s or self.length_s
        return windows_with_label(recordings, clock, "run", RUNS, length_s=self.length_s, stride_s=stride_s)
