"""eegmmidb: eyes open or closed."""

from typing import ClassVar, Literal

import pandas as pd

from eegfm.windows.cutters.base import Answer, Cut, Seconds
from eegfm.windows.runs import Clock, Runs
from eegfm.windows.tasks.recording_label import windows_with_label

RUNS = {"open": ("1", "01", "R01"), "closed": ("2", "02", "R02")}


class EegmmidbRestTask(Cut):
    """Windows at a fixed stride in the two minutes of rest: run 1 with eyes open, run 2 with eyes closed.

    Attributes:
        length_s: Window length.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = (
        "Schalk et al. 2004, BCI2000, doi 10.1109/TBME.2004.827072; runs: https://physionet.org/content/eegmmidb/1.0.0/"
    )

    name: Literal["eegmmidb_rest"] = "eegmmidb_rest"
    length_s: Seconds = 2.0
    stride_s: Seconds | None = None

    @property
    def answer(self) -> Answer:
        """Eyes open or closed."""
        return Answer("binary", tuple(RUNS))

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, clock: Clock) -> Runs:
        """Fill both runs; see the base class."""
        stride_s = self.stride_s or self.length_s
        return windows_with_label(recordings, clock, "run", RUNS, length_s=self.length_s, stride_s=stride_s)
