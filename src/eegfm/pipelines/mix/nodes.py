"""Nodes that assign persons to splits and build the mixture."""

import pandas as pd

from eegfm.mixture.config import MixtureParams
from eegfm.signal.config import SignalParams
from eegfm.splits.config import Roles, SplitParams

RECORDINGS = "recordings."
"""Before the name of a corpus, which has no point, where both its tables go into one node."""


def split_corpora(roles: Roles, params: SplitParams, **recordings: pd.DataFrame) -> pd.DataFrame:
    """Give every person of every corpus one split."""
    from eegfm.splits.splits import split_persons

    return split_persons(recordings, roles, params)


def mix_corpora(
    splits: pd.DataFrame, params: MixtureParams, signal: SignalParams, **tables: pd.DataFrame
) -> pd.DataFrame:
    """List the windows that pretraining draws from, with the share of each corpus, and labels for auxiliary heads.

    Args:
        splits: One row per person.
        params: Shares, cuts and labels.
        signal: The rate.
        tables: By corpus, its windows; by ``recordings.<corpus>``, its recordings.
    """
    from eegfm.mixture.labels import with_labels
    from eegfm.mixture.table import mix_windows

    recordings = {name.removeprefix(RECORDINGS): table for name, table in tables.items() if name.startswith(RECORDINGS)}
    windows = {corpus: tables[corpus] for corpus in recordings}
    return with_labels(mix_windows(windows, splits, params, rate_hz=signal.rate_hz), recordings, params.labels)
