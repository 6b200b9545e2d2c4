"""Node that cuts recordings into windows."""

from typing import Any

import pandas as pd

from eegfm.windows.config import WindowParams


def cut_recordings(recordings: pd.DataFrame, events: pd.DataFrame, params: WindowParams) -> dict[str, Any]:
    """Cut windows; a row is a run of windows, never a copy of signal."""
    from eegfm.windows.cut import counts_table, cut_windows

    windows, counts = cut_windows(recordings, events, params)
    return {"windows": windows, "window_counts": counts_table(counts)}
