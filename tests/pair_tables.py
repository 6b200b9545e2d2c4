"""Tables of windows for pairs, plans made of them, and the windows that a plan draws."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from eegfm.batch import Pairs
from eegfm.nn.false_negatives import allowed_negatives
from eegfm.store.stores import Stores
from eegfm.training.loading.groups import window_groups
from eegfm.training.pairings import PairConfig
from eegfm.training.plans.pairs.pair_plan import PairPlan, pair_sources, total_counts
from eegfm.training.plans.pairs.source import Batching
from eegfm.training.plans.plan import Draw
from eegfm.windows.runs import COLUMNS, Ints, expand

DEFAULTS: dict[str, Any] = {
    "corpus": "hbn",
    "montage": "129ch",
    "cut": "movies",
    "segment": 0,
    "start": 0,
    "n_samples": 200,
    "stride": 200,
    "n_windows": 1,
    "moment": -1,
    "label": None,
    "target": np.nan,
    "targets": None,
}


def table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows of a windows table; a recording belongs to the person that its name begins with, unless a row says so."""
    filled = [{**DEFAULTS, "person": str(row["recording_id"]).split("_", maxsplit=1)[0], **row} for row in rows]
    more = [name for name in (filled[0] if filled else {}) if name not in COLUMNS]
    return pd.DataFrame(filled, columns=[*COLUMNS, *more]).astype(COLUMNS)


def viewers(n_persons: int, n_moments: int, movies: Iterable[str] = ("A",), **row: Any) -> pd.DataFrame:
    """Everybody sees every movie, one run each, beginning at a sample of their own."""
    return table(
        {
            "recording_id": f"p{p:03d}_{movie}",
            "label": movie,
            "start": 7 * p,
            "n_windows": n_moments,
            "moment": 0,
            **row,
        }
        for p in range(n_persons)
        for movie in movies
    )


class TableStore:
    """Addresses of the recordings of a table, far apart, in another order than that of any table."""

    rate_hz = 100.0
    _LENGTH = 2**40

    def __init__(self, recording_ids: Iterable[str]) -> None:
        self._ids = pd.Index(sorted(set(recording_ids), key=lambda name: sha256(name.encode()).digest()))

    def locate(
        self, montage: str, recording_ids: Iterable[str], starts: Ints, n_samples: int | Ints
    ) -> tuple[Ints, Ints]:
        scale_rows = self._ids.get_indexer(pd.Index(recording_ids)).astype(np.int64)
        assert (scale_rows >= 0).all()
        return scale_rows * self._LENGTH + starts, scale_rows

    def names(self, rows: Ints) -> list[tuple[str, int]]:
        """Recording and sample at these rows."""
        return [(str(self._ids[row // self._LENGTH]), int(row % self._LENGTH)) for row in rows.tolist()]


def stores_of(windows: pd.DataFrame) -> dict[str, TableStore]:
    """Stores by corpus."""
    return {str(corpus): TableStore(rows["recording_id"]) for corpus, rows in windows.groupby("corpus")}


def pair_plan(windows: pd.DataFrame, pairing: PairConfig, batch_size: int = 2, seed: int = 0, **ranks: int) -> PairPlan:
    """A plan whose windows are drawn from groups of the same table; each corpus has as many pairs in a step."""
    stores = cast(Stores, stores_of(windows))
    groups = window_groups(windows.assign(split="train"), stores, "train")
    corpora = sorted(windows["corpus"].unique()) or ["hbn"]
    batching = Batching(batch_size, seed)
    sources = {corpus: [pair_sources(corpus, windows, groups, stores, pairing, batching)] for corpus in corpora}
    return PairPlan(sources, seed, **ranks)


def pair_counts(plan: PairPlan) -> dict[str, int]:
    """What the sources of a plan count, all together, those without a batch too."""
    return total_counts([source for of_corpus in plan.sources.values() for source in of_corpus])


def negatives(draw: Draw) -> NDArray[np.bool_]:
    """(B, B) windows of a draw that are negatives of each other."""
    assert draw.likeness is not None
    group, place, reach, block, _ = vars(draw.likeness).values()
    blocks = None if block is None else torch.from_numpy(block)
    return allowed_negatives(Pairs(torch.from_numpy(group), torch.from_numpy(place), reach, blocks)).numpy()


class Names:
    """What drawn windows are, by the addresses in their index.

    Args:
        windows: The table that a plan was made of.
    """

    def __init__(self, windows: pd.DataFrame) -> None:
        self._stores = stores_of(windows)
        kinds = expand(windows).groupby(["corpus", "montage", "n_samples"])
        self._rows = {kind: rows.reset_index(drop=True) for kind, rows in kinds}
        self._places = {
            kind: {(str(rows["recording_id"][k]), int(rows["start"][k])): k for k in range(len(rows))}
            for kind, rows in self._rows.items()
        }

    def keys(self, draw: Draw) -> list[tuple[str, int]]:
        """Recording and first sample of each window."""
        return self._stores[draw.group.corpus].names(draw.group.locate(draw.positions)[0])

    def rows(self, draw: Draw) -> pd.DataFrame:
        """The windows as rows of the table taken apart."""
        kind = (draw.group.corpus, draw.group.montage, draw.group.n_samples)
        places = [self._places[kind][key] for key in self.keys(draw)]
        return self._rows[kind].iloc[places].reset_index(drop=True)
