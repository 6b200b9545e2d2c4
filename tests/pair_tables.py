"""Tables of windows for pairs, and the windows that a plan's numbers stand for."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from eegfm.training.plans.pairs.sampler import PairBatch
from eegfm.windows.runs import COLUMNS, expand

DEFAULTS: dict[str, Any] = {
    "corpus": "hbn",
    "montage": "129ch",
    "task": "movies",
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


class Names:
    """What window numbers stand for.

    Args:
        windows: The table that a plan was made of.
    """

    def __init__(self, windows: pd.DataFrame) -> None:
        every = expand(windows)
        of_stratum = every.groupby(["corpus", "montage", "n_samples"]).indices
        self._rows = {kind: every.iloc[rows].reset_index(drop=True) for kind, rows in of_stratum.items()}
        self._keys = {
            kind: list(zip(rows["recording_id"].astype(str), rows["start"].tolist(), strict=True))
            for kind, rows in self._rows.items()
        }

    def rows(self, batch: PairBatch) -> pd.DataFrame:
        """The windows of a batch, anchors first, as rows of the table taken apart."""
        rows = self._rows[batch.corpus, batch.montage, batch.n_samples]
        return rows.iloc[np.concatenate([batch.anchor, batch.positive])].reset_index(drop=True)

    def keys(self, batch: PairBatch) -> list[tuple[str, int]]:
        """Recording and first sample of each window, anchors first."""
        keys = self._keys[batch.corpus, batch.montage, batch.n_samples]
        return [keys[k] for k in np.concatenate([batch.anchor, batch.positive])]
