"""Two corpora of noise in memory, of which a small model learns something within a few steps, and their tables."""

import hashlib
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.encoders.config import PatchTransformerConfig
from eegfm.recording import Montage
from eegfm.training.config import PretrainParams
from eegfm.training.optimizers.config import AdamWConfig
from person_tables import split_table


class NoiseStore:
    """Recordings of 20 s: noise whose strength differs between recordings, so that one patch tells of others."""

    rate_hz = 100.0
    filters: ClassVar[dict[str, float | None]] = {"low_hz": 0.5, "high_hz": 45.0, "notch_hz": None}

    def __init__(self, montage: Montage, n_recordings: int, seed: int, *, is_simulated: bool) -> None:
        self.is_simulated = is_simulated
        self.montages = {montage.name: montage}
        rng = np.random.default_rng(seed)
        strength_uv = np.repeat(np.geomspace(4, 40, n_recordings)[rng.permutation(n_recordings)], 2000)
        signal_uv = strength_uv[:, None] * rng.normal(size=(2000 * n_recordings, montage.n_channels))
        self.samples = (signal_uv / 0.02).astype(np.int16)
        self.n_recordings = n_recordings

    def signals_sha256(self, recording_ids: Iterable[str]) -> str:
        taken = [
            self.samples[2000 * r : 2000 * (r + 1)] for r in sorted(int(n.partition(":r")[2]) for n in recording_ids)
        ]
        return hashlib.sha256(b"".join(part.tobytes() for part in taken)).hexdigest()

    def locate(
        self,
        montage: str,
        recording_ids: Iterable[str],
        starts: NDArray[np.int64],
        n_samples: int | NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        recordings = np.array([int(name.partition(":r")[2]) for name in recording_ids], dtype=np.int64)
        return 2000 * recordings + starts, recordings

    def scales(self, montage: str) -> NDArray[np.float32]:
        return np.full((self.n_recordings, self.samples.shape[1]), 0.02, dtype=np.float32)

    def is_bad(self, montage: str) -> NDArray[np.bool_]:
        return np.zeros((self.n_recordings, self.samples.shape[1]), dtype=np.bool_)

    def gather(
        self, montage: str, rows: NDArray[np.int64], n_samples: int, out: NDArray[np.int16] | None = None
    ) -> NDArray[np.int16]:
        found = self.samples[rows[:, None] + np.arange(n_samples)]
        if out is None:
            return found
        out[...] = found
        return out

    def read_ahead(self, montage: str, first_rows: NDArray[np.int64], n_rows: int | NDArray[np.int64]) -> bool:
        return False

    def shards(self, montage: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return np.array([0]), np.array([len(self.samples)])


def make_montage(n_channels: int) -> Montage:
    positions = tuple((0.02 * k - 0.05, 0.05, 0.05) for k in range(n_channels))
    return Montage(tuple(f"S{k}" for k in range(n_channels)), positions, (True,) * n_channels, "linked_ears")


PARAMS = PretrainParams(
    encoder=PatchTransformerConfig(d_model=16, head_size=8, n_layers=2, spectrum_input=True),
    optimizer=AdamWConfig(learning_rate=1e-2),
    batch_size=10,
    n_steps=30,
    seed=0,
    log_interval_steps=5,
    validation_interval_steps=20,
    accelerator="cpu",
    progress_bar=False,
    resume=False,  # many tests train the same run
)


def noise_stores() -> dict[str, NoiseStore]:
    """Six recordings of one montage, five of another."""
    return {
        "hbn": NoiseStore(make_montage(6), 6, 0, is_simulated=True),
        "tuh": NoiseStore(make_montage(4), 5, 1, is_simulated=False),
    }


def noise_mixture(stores: dict[str, NoiseStore]) -> pd.DataFrame:
    """All windows of both; the first person of each is for validation."""
    rows = [
        {
            "recording_id": f"{corpus}:p{r}:r{r}",
            "corpus": corpus,
            "montage": next(iter(stores[corpus].montages)),
            "person": f"{corpus}:p{r}",
            "identity": f"{corpus}:p{r}",
            "start": start,
            "n_samples": n_samples,
            "stride": n_samples,
            "n_windows": 1,
            "split": "validation" if r == 0 else "train",
            "weight": weight,
        }
        for corpus, n_samples, weight in (("hbn", 200, 0.7), ("tuh", 400, 0.3))
        for r in range(stores[corpus].n_recordings)
        for start in range(0, 2000, n_samples)
    ]
    return pd.DataFrame(rows)


def noise_splits(mixture: pd.DataFrame) -> pd.DataFrame:
    """The mixture's persons, and two who are kept out."""
    split_of = dict(zip(mixture["person"], mixture["split"], strict=True))
    table = split_table(split_of | {"tuh:test": "excluded", "hbn:probed": "test"})
    known = {person: of["recording_id"].unique().tolist() for person, of in mixture.groupby("person")}
    table["recordings"] = [known.get(person, [f"{person}:r0"]) for person in table["person"]]
    # One person has another name in another run.
    table.loc[table["person"] == "tuh:p1", "keys"] = pd.Series([["TUEG:x", "tuh:p1"]] * len(table), index=table.index)
    return table
