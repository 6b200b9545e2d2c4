"""Two small corpora in stores of their own, with windows of other lengths and other montages, and their tables.

Persons have labels, some of which are unknown."""

from pathlib import Path

import numpy as np
import pandas as pd

from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from person_tables import split_table

N_PERSONS = 5
"""The first of each corpus is there for validation."""


def write_two_corpora(folder: Path) -> None:
    """Write stores ``hbn`` and ``tuh``, ``mixture.parquet`` and ``splits.parquet`` into a folder."""
    rows, rng = [], np.random.default_rng(0)
    for corpus, n_channels, n_samples, weight in (("hbn", 6, 200, 0.6), ("tuh", 4, 400, 0.4)):
        positions = tuple((0.02 * k - 0.05, 0.05, 0.05) for k in range(n_channels))
        montage = Montage(tuple(f"S{k}" for k in range(n_channels)), positions, (True,) * n_channels, "linked_ears")
        with StoreWriter(folder / corpus, StoreFacts(rate_hz=100.0, is_simulated=True)) as writer:
            for k in range(N_PERSONS):
                writer.commit(
                    recording_id=f"{corpus}:p{k}:r",
                    key="",
                    montage=montage,
                    samples=rng.normal(0, 300 * (k + 1), (2000, n_channels)).astype(np.int16),
                    scales_uv=np.full(n_channels, 0.02, dtype=np.float32),
                    facts={},
                    events=[],
                )
        rows += [
            {
                "recording_id": f"{corpus}:p{k}:r",
                "corpus": corpus,
                "montage": montage.name,
                "person": f"{corpus}:p{k}",
                "identity": f"{corpus}:p{k}",
                "start": 0,
                "n_samples": n_samples,
                "stride": n_samples,
                "n_windows": 2000 // n_samples,
                "split": "train" if k else "validation",
                "weight": weight,
                "label_age": 20.0 + 3 * k if k != 2 else np.nan,
                "label_sex": "FM"[k % 2] if corpus == "hbn" else None,
            }
            for k in range(N_PERSONS)
        ]
    mixture = pd.DataFrame(rows)
    mixture.to_parquet(folder / "mixture.parquet")
    split_table(dict(zip(mixture["person"], mixture["split"], strict=True))).to_parquet(folder / "splits.parquet")


def read_two_corpora(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, SignalStore]]:
    """Mixture, splits and stores."""
    tables = (pd.read_parquet(folder / f"{name}.parquet") for name in ("mixture", "splits"))
    return *tables, {corpus: SignalStore(folder / corpus) for corpus in ("hbn", "tuh")}
