"""Nodes that assign persons to splits and build the mixture."""

import pandas as pd

from eegfm.mixture.config import MixtureParams
from eegfm.signal.config import SignalParams
from eegfm.splits.config import Roles, SplitParams


def split_corpora(roles: Roles, params: SplitParams, **recordings: pd.DataFrame) -> pd.DataFrame:
    """Give every person of every corpus one split."""
    from eegfm.splits.splits import split_persons

    return split_persons(recordings, roles, params)


def mix_corpora(
    splits: pd.DataFrame, params: MixtureParams, signal: SignalParams, **windows: pd.DataFrame
) -> pd.DataFrame:
    """List the windows that pretraining draws from, with the share of each corpus."""
    from eegfm.mixture.table import mix_windows

    return mix_windows(windows, splits, params, rate_hz=signal.rate_hz)
