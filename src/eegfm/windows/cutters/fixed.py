"""Windows of one length at a fixed stride."""

from typing import Literal

import numpy as np
import pandas as pd

from eegfm.windows.cutters.base import Cut, Seconds
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.spans import n_fitting, segments


class FixedCut(Cut):
    """Windows of one length at a fixed stride inside every segment, without labels.

    Attributes:
        length_s: Window length.
        stride_s: From one window to the next.
    """

    name: Literal["fixed"] = "fixed"
    length_s: Seconds
    stride_s: Seconds

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the segments; see the base class."""
        return fixed_windows(recordings, sample_grid, self.length_s, self.stride_s)


def fixed_windows(recordings: pd.DataFrame, sample_grid: SampleGrid, length_s: float, stride_s: float) -> Runs:
    """One run per segment that holds a window."""
    length, stride = sample_grid.samples("length_s", length_s), sample_grid.samples("stride_s", stride_s)
    found = segments(recordings)
    n_windows = n_fitting(found["start"], found["stop"], length, stride)
    filled = n_windows > 0
    recording = found["recording"][filled]
    return Runs(
        recording=recording,
        segment=found["segment"][filled],
        start=found["start"][filled],
        n_samples=length,
        stride=stride,
        n_windows=n_windows[filled],
        counted={"n_recordings_without_window": len(recordings) - len(np.unique(recording))},
    )
