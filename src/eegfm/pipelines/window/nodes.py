"""Node from recordings to windows."""

import pandas as pd

from eegfm.windows.config import WindowParams


def cut_recordings(recordings: pd.DataFrame, events: pd.DataFrame, params: WindowParams) -> pd.DataFrame:
    """Cut windows; a window is a row of a table, never a copy of signal."""
    from eegfm.windows.cut import cut_windows

    windows, _ = cut_windows(recordings, events, params)
    return windows
