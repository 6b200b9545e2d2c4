"""Group the windows of a mixture by montage and length, so that a plan can draw from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.batch import SignalSpec, WindowIndex
from eegfm.errors import ConfigError
from eegfm.mixture.target_columns import target_columns
from eegfm.recording import Montage
from eegfm.store.reader import SignalStore
from eegfm.store.stores import Stores, store_of
from eegfm.training.plans.group_order import DrawnBy


@dataclass(frozen=True)
class Mixing:
    """Facts about the draws from a mixture, which its table has in every row.

    Args:
        weights: Share of each corpus in a batch.
        is_rounded: Whether the weights follow from sizes and are rounded to whole windows of a batch.
        drawn_by: ``windows``, ``persons`` or ``classes``.
        max_windows_per_person: Windows of one person and corpus that an epoch shows; None for all.
    """

    weights: dict[str, float]
    is_rounded: bool
    drawn_by: DrawnBy
    max_windows_per_person: int | None

    @classmethod
    def of(cls, mixture: pd.DataFrame) -> "Mixing":
        """Read it from a table; one without the columns is drawn by windows, all of them, in its very weights.

        Raises:
            ConfigError: The table is empty, its rows contradict each other, or it was made by another version.
        """
        weights = corpus_weights(mixture)
        is_rounded = _single(mixture, "is_rounded", False)
        limit = int(_single(mixture, "max_windows_per_person", 0))
        drawn_by = _single(mixture, "drawn_by", "windows")
        if drawn_by not in get_args(DrawnBy):
            raise ConfigError(
                f"the mixture is drawn by {drawn_by!r}; known: {', '.join(get_args(DrawnBy))}; make the mixture again"
            )
        return cls(weights, bool(is_rounded), drawn_by, limit or None)


def window_groups(
    mixture: pd.DataFrame, stores: Stores, split: str, cut: str | None = None
) -> dict[str, list[WindowIndex]]:
    """Address the windows of one split, grouped by montage and length.

    Args:
        mixture: One row per run: recording_id, corpus, montage, person, start, n_samples, stride, n_windows, split;
            and identity, which tells persons apart, and ``eegfm.mixture.target_columns``, where there are any.
        stores: Stores by corpus.
        split: ``train`` or ``validation``.
        cut: The cut whose windows are addressed; None for all. Persons have one number in all cuts of the table, a
            class has one in each.

    Returns:
        By corpus in alphabetical order; a corpus without windows in the split and the cut is absent. Runs are ordered
        by person, and within a person as in the table.

    Raises:
        ConfigError: A corpus of the mixture has no store, or runs have different numbers of targets.
        StoreError: A recording is not in its store.
    """
    every = mixture[mixture["split"] == split]
    names = {corpus: np.unique(_persons(part)) for corpus, part in every.groupby("corpus", sort=True)}
    if cut is not None:
        mixture = mixture[mixture["cut"] == cut]
    targets = target_columns(mixture)
    row = np.flatnonzero(mixture["split"] == split)
    rows = mixture.iloc[row].assign(row=row)
    groups: dict[str, list[WindowIndex]] = {}
    for corpus, part in rows.groupby("corpus", sort=True):
        runs = _by_person(part, names[corpus])
        store = store_of(stores, str(corpus))
        groups[str(corpus)] = [
            _index(str(corpus), montage, int(n_samples), runs[_is_of(runs, montage, n_samples)], targets, store)
            for montage, n_samples in _distinct(runs, ["montage", "n_samples"])
        ]
    return groups


def corpus_weights(mixture: pd.DataFrame) -> dict[str, float]:
    """Return the share of each corpus in a batch.

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
    """Specification of the data: rate, montages, longest windows.

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
    """Filters of the signals of all corpora.

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


def _persons(rows: pd.DataFrame) -> NDArray[Any]:
    """(R,) names that tell persons apart."""
    names: NDArray[Any] = rows["identity" if "identity" in rows else "person"].to_numpy(dtype=object)
    return names


def _by_person(rows: pd.DataFrame, names: NDArray[Any]) -> pd.DataFrame:
    """Columns of a corpus's runs for an index, with the places of persons among these names, ordered by person."""
    runs = rows[["row", "recording_id", "montage", "start", "n_samples", "stride", "n_windows"]]
    runs = runs.assign(person=pd.Index(names).get_indexer(pd.Index(_persons(rows))).astype(np.int32))
    return runs.sort_values("person", kind="stable")


def _is_of(runs: pd.DataFrame, montage: str, n_samples: int) -> "pd.Series[bool]":
    return (runs["montage"] == montage) & (runs["n_samples"] == n_samples)


def _index(
    corpus: str,
    montage: str,
    n_samples: int,
    runs: pd.DataFrame,
    targets: Mapping[str, NDArray[Any]],
    store: SignalStore,
) -> WindowIndex:
    """Columns of one group; runs stay runs where that takes less memory."""
    n_windows, strides = runs["n_windows"].to_numpy(np.int64), runs["stride"].to_numpy(np.int64)
    persons = runs["person"].to_numpy(np.int32)
    extents = (n_windows - 1) * strides + n_samples
    first_rows, scale_rows = store.locate(montage, runs["recording_id"], runs["start"].to_numpy(np.int64), extents)
    recordings = scale_rows.astype(np.int32)
    spaced = strides[n_windows > 1]
    stride = int(spaced[0]) if len(spaced) else n_samples
    row = runs["row"].to_numpy()
    of_run = {name: values[row] for name, values in targets.items()}
    # A run costs 24 bytes and its targets, a window of its own 16 and its targets.
    n_bytes = sum(values[:1].nbytes for values in of_run.values())
    is_grid = (spaced == stride).all() and (24 + n_bytes) * len(runs) < (16 + n_bytes) * n_windows.sum()
    if is_grid:
        ends = np.cumsum(n_windows)
        return WindowIndex(corpus, montage, n_samples, stride, first_rows, recordings, persons, ends, of_run)
    run = np.repeat(np.arange(len(runs)), n_windows)
    nth = np.arange(len(run)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    first_rows = first_rows[run] + nth * strides[run]
    of_window = {name: values[run] for name, values in of_run.items()}
    return WindowIndex(corpus, montage, n_samples, stride, first_rows, recordings[run], persons[run], targets=of_window)


def _single(mixture: pd.DataFrame, column: str, default: Any) -> Any:
    """The one value of a column that holds for the whole table."""
    if column not in mixture:
        return default
    values = mixture[column].unique()
    if len(values) != 1:
        raise ConfigError(f"the mixture says {column} {list(values)}, one is allowed; make the mixture again")
    return values[0]


def _distinct(table: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    """Rows of the table that differ in these columns, sorted."""
    return sorted(table[columns].drop_duplicates().itertuples(index=False, name=None))
