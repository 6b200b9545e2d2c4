"""Windows of one cut of small tables, without the checks that a whole corpus must pass."""

import pandas as pd

from eegfm.windows.cutters.base import Cut
from eegfm.windows.runs import SampleGrid


def find_windows(cut: Cut, recordings: pd.DataFrame, events: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """The windows table and the counts of a cut named ``x``; a class or a configured value may be absent."""
    recordings = recordings.sort_values("recording_id", ignore_index=True)
    rate_hz = float(recordings["rate_hz"].iloc[0])
    runs = cut.find(recordings, events, SampleGrid(rate_hz, "x"))
    return runs.table(recordings, "x"), runs.counts(rate_hz)
