"""To be written."""

from typing import Literal

import pandas as pd

from eegfm.windows.cutters.base import Cut
from eegfm.windows.runs import Clock, Runs


class HbnSurroundSuppressionTask(Cut):
    """To be written."""

    name: Literal["hbn_surround_suppression"] = "hbn_surround_suppression"

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, clock: Clock) -> Runs:
        """To be written."""
        raise NotImplementedError
