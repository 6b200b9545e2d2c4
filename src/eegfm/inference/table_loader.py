"""Windows of a table in batches, each with the places of its windows in the table."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from eegfm.batch import StoredBatch
from eegfm.store.reader import SignalStore


class PlacedBatch(NamedTuple):
    """Windows as stored, and where they stand in their table.

    Args:
        places: (B,) int64 row numbers.
        batch: The windows.
    """

    places: torch.Tensor
    batch: StoredBatch


class TableLoader:
    """Windows of one corpus, montage by montage: every window of a table once.

    Args:
        store: Signals of the corpus.
        windows: One row per window, see ``eegfm.windows.runs.expand``.
        batch_size: Windows of a batch.
    """

    def __init__(self, store: SignalStore, windows: pd.DataFrame, batch_size: int) -> None:
        self._store, self._windows, self._batch_size = store, windows.reset_index(drop=True), batch_size
        self._groups = [group for _, group in self._windows.groupby(["montage", "corpus", "n_samples"])]

    @property
    def n_windows(self) -> int:
        """Windows of the table."""
        return len(self._windows)

    def __len__(self) -> int:
        return sum(-(-len(group) // self._batch_size) for group in self._groups)

    def __iter__(self) -> Iterator[PlacedBatch]:
        for group in self._groups:
            yield from self._batches(group)

    def _batches(self, group: pd.DataFrame) -> Iterator[PlacedBatch]:
        store, first = self._store, group.iloc[0]
        montage, corpus, n_samples = str(first["montage"]), str(first["corpus"]), int(first["n_samples"])
        starts = group["start"].to_numpy(dtype=np.int64)
        rows, scale_rows = store.locate(montage, group["recording_id"], starts, n_samples)
        scales_uv, is_bad = store.scales(montage), store.is_bad(montage)
        places = np.array(group.index, dtype=np.int64)
        for begin in range(0, len(group), self._batch_size):
            part = slice(begin, begin + self._batch_size)
            stored: StoredBatch = {
                "samples": torch.from_numpy(store.gather(montage, rows[part], n_samples)),
                "scales_uv": torch.from_numpy(scales_uv[scale_rows[part]]),
                "recording": torch.from_numpy(scale_rows[part]),
                "corpus": corpus,
                "montage": montage,
            }
            if is_bad[scale_rows[part]].any():
                stored["is_bad"] = is_bad[scale_rows[part]]
            yield PlacedBatch(torch.from_numpy(places[part]), stored)
