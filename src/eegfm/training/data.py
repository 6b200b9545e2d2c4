"""From the mixture table and the stores to what a plan draws from."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from eegfm.batch import SignalSpec, WindowIndex
from eegfm.errors import ConfigError
from eegfm.recording import Montage
from eegfm.training.loader import SignalStoreLike, Stores


def window_groups(mixture: pd.DataFrame, stores: Stores, split: str) -> dict[str, list[WindowIndex]]:
    """Address the windows of one split, grouped by montage and length.

    Args:
        mixture: Columns recording_id, corpus, montage, start, n_samples, split.
        stores: Stores by corpus.
        split: ``pretrain`` or ``validation``.

    Returns:
        By corpus in alphabetical order; a corpus without windows in the split is absent.

    Raises:
        ConfigError: A corpus of the mixture has no store.
        StoreError: A recording is not in its store.
    """
    rows = mixture[mixture["split"] == split]
    groups: dict[str, list[WindowIndex]] = {}
    for corpus, montage, n_samples in _distinct(rows, ["corpus", "montage", "n_samples"]):
        is_member = (rows["corpus"] == corpus) & (rows["montage"] == montage) & (rows["n_samples"] == n_samples)
        table = rows[is_member]
        starts = table["start"].to_numpy(np.int64)
        first_rows, scale_rows = store_of(stores, corpus).locate(montage, table["recording_id"], starts, int(n_samples))
        groups.setdefault(corpus, []).append(WindowIndex(corpus, montage, first_rows, scale_rows, int(n_samples)))
    return groups


def corpus_weights(mixture: pd.DataFrame) -> dict[str, float]:
    """Share of each corpus in a batch.

    Raises:
        ConfigError: The table is empty, or a corpus has several weights.
    """
    if mixture.empty:
        raise ConfigError("the mixture holds no window; check the splits and the windows of each corpus")
    weights = mixture.groupby("corpus", sort=True)["weight"].agg(["min", "max"])
    unequal = weights[weights["min"] != weights["max"]]
    if len(unequal):
        raise ConfigError(f"corpus {unequal.index[0]} has several weights in the mixture; make the mixture again")
    return {str(corpus): float(weight) for corpus, weight in weights["min"].items()}


def signal_spec(mixture: pd.DataFrame, stores: Stores) -> SignalSpec:
    """What the data decides: rate, montages, longest windows.

    Raises:
        ConfigError: Stores differ in rate, or a corpus of the mixture has no store.
    """
    corpora = sorted(str(corpus) for corpus in mixture["corpus"].unique())
    rates = {corpus: store_of(stores, corpus).rate_hz for corpus in corpora}
    if len(set(rates.values())) != 1:
        raise ConfigError(f"corpora differ in sampling rate ({rates}); give all ingests one signal.rate_hz")
    montages: dict[str, Montage] = {}
    longest: dict[str, int] = {}
    for corpus, montage, n_samples in _distinct(mixture, ["corpus", "montage", "n_samples"]):
        montages[montage] = stores[corpus].montages[montage]
        longest[montage] = max(int(n_samples), longest.get(montage, 0))
    return SignalSpec(rates[corpora[0]], montages, longest)


def shared_filters(stores: Stores, corpora: Iterable[str]) -> dict[str, float | None]:
    """What the signals of all corpora went through.

    Raises:
        ConfigError: Corpora were filtered differently, which an encoder would learn to tell apart.
    """
    filters = {corpus: store_of(stores, corpus).filters for corpus in corpora}
    first = next(iter(filters.values()))
    if any(each != first for each in filters.values()):
        raise ConfigError(
            f"corpora were filtered differently ({filters}); ingest all with one set of signal parameters"
        )
    return first


def store_of(stores: Mapping[str, SignalStoreLike], corpus: str) -> SignalStoreLike:
    """The store of a corpus.

    Raises:
        ConfigError: There is none.
    """
    if corpus not in stores:
        raise ConfigError(f"the mixture names corpus {corpus}, which has no signal store; there are {sorted(stores)}")
    return stores[corpus]


def _distinct(table: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    """Rows of the table that differ in these columns, sorted."""
    return sorted(table[columns].drop_duplicates().itertuples(index=False, name=None))
