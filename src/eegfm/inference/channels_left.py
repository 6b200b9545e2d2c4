"""Leave out recordings whose bad channels leave no channel for the encoder."""

import logging
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from eegfm.errors import ConfigError
from eegfm.nn.rereference import Rereference
from eegfm.recording import Montage
from eegfm.store.reader import SignalStore
from eegfm.store.stores import Stores, store_of

_log = logging.getLogger(__name__)

NewRereference = Callable[[Mapping[str, Montage]], Rereference]


def with_channels_left(windows: pd.DataFrame, stores: Stores, new_rereference: NewRereference) -> pd.DataFrame:
    """Leave out recordings whose bad channels leave no channel, before one of their windows comes up.

    A warning counts the windows and names the recordings.

    Args:
        windows: Runs of windows: recording_id, corpus, montage, n_windows.
        stores: Stores by corpus.
        new_rereference: Function that makes the re-referencing module of montages.

    Returns:
        The same table where nothing is left out.

    Raises:
        ConfigError: Nothing is left of a corpus, or a montage does not fit the reference.
        StoreError: A recording is not in its store.
    """
    empty: set[str] = set()
    for corpus, part in windows.groupby("corpus", sort=True):
        found = _empty_recordings(part, store_of(stores, str(corpus)), new_rereference)
        if found:
            _report(str(corpus), part, found)
        empty |= found.keys()
    return windows[~windows["recording_id"].isin(empty)] if empty else windows


def _empty_recordings(
    windows: pd.DataFrame, store: SignalStore, new_rereference: NewRereference
) -> dict[str, Rereference]:
    """Ids of recordings of which nothing is left, each with what leaves nothing of it."""
    found: dict[str, Rereference] = {}
    for montage, part in windows.groupby("montage", sort=True):
        name, ids = str(montage), part["recording_id"].unique()
        _, rows = store.locate(name, ids, np.zeros(len(ids), dtype=np.int64), 0)
        is_bad = store.is_bad(name)[rows]
        if is_bad.any():
            rereference = new_rereference({name: store.montages[name]})
            found |= dict.fromkeys(map(str, ids[rereference.has_nothing_left(name, is_bad)]), rereference)
    return found


def _report(corpus: str, windows: pd.DataFrame, found: Mapping[str, Rereference]) -> None:
    """Say what is left out, or that there is nothing else."""
    n_all, named = windows["recording_id"].nunique(), ", ".join(sorted(found))
    rereference = next(iter(found.values()))
    how = f"with reference: {rereference.reference} and bad_channels: {rereference.bad_channels}"
    remedy = "reference: average with bad_channels: interpolate needs one good scalp electrode"
    if len(found) == n_all:
        raise ConfigError(
            f"{corpus}: none of {n_all} recordings ({named}) has a channel left {how}; recordings.bad_channels says "
            f"which are bad; {remedy}; otherwise leave the corpus out"
        )
    n_windows = windows.loc[windows["recording_id"].isin(list(found)), "n_windows"].sum()
    _log.warning(
        "%s: %d of %d windows are left out: bad channels leave nothing of %d of %d recordings (%s) %s; %s",
        corpus, n_windows, windows["n_windows"].sum(), len(found), n_all, named, how, remedy,
    )  # fmt: skip
