"""A store in memory whose samples encode their own position."""

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from eegfm.errors import StoreError
from eegfm.recording import Montage


class MemoryStore:
    """Recordings of one length per montage; sample t of recording r is 100 r + t in every channel."""

    rate_hz = 100.0
    is_simulated = False
    filters: ClassVar[dict[str, float | None]] = {"low_hz": 0.5, "high_hz": 45.0, "notch_hz": None}

    def __init__(self, montages: list[Montage], n_recordings: int, n_samples: int) -> None:
        self.montages = {montage.name: montage for montage in montages}
        self.n_recordings = n_recordings
        self.n_samples = n_samples
        self.asked: list[tuple[str, list[int], list[int]]] = []  # what read_ahead was told

    def signals_sha256(self, recording_ids: Iterable[str]) -> str:
        return " ".join(sorted(recording_ids))

    def locate(
        self,
        montage: str,
        recording_ids: Iterable[str],
        starts: NDArray[np.int64],
        n_samples: int | NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        recordings = np.array([int(name.removeprefix("r")) for name in recording_ids], dtype=np.int64)
        if (recordings >= self.n_recordings).any():
            raise StoreError("no such recording")
        if ((starts < 0) | (starts + n_samples > self.n_samples)).any():
            raise StoreError("a window leaves its recording")
        return recordings * self.n_samples + starts, recordings

    def scales(self, montage: str) -> NDArray[np.float32]:
        shape = (self.n_recordings, self.montages[montage].n_channels)
        return np.arange(1, self.n_recordings + 1, dtype=np.float32)[:, None] * np.ones(shape, dtype=np.float32)

    def is_bad(self, montage: str) -> NDArray[np.bool_]:
        return np.zeros((self.n_recordings, self.montages[montage].n_channels), dtype=np.bool_)

    def gather(
        self, montage: str, rows: NDArray[np.int64], n_samples: int, out: NDArray[np.int16] | None = None
    ) -> NDArray[np.int16]:
        recordings, starts = np.divmod(rows, self.n_samples)
        times = starts[:, None] + np.arange(n_samples)
        values = (100 * recordings[:, None] + times).astype(np.int16)
        found = np.repeat(values[:, :, None], self.montages[montage].n_channels, axis=2)
        if out is None:
            return found
        out[...] = found
        return out

    def read_ahead(self, montage: str, first_rows: NDArray[np.int64], n_rows: int | NDArray[np.int64]) -> None:
        lengths = np.broadcast_to(np.asarray(n_rows), first_rows.shape)
        self.asked.append((montage, first_rows.tolist(), lengths.tolist()))

    def shards(self, montage: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return np.array([0]), np.array([self.n_recordings * self.n_samples])


def make_montage(n_channels: int) -> Montage:
    positions = tuple((0.01 * k, 0.05, 0.05) for k in range(n_channels))
    return Montage(tuple(f"S{k}" for k in range(n_channels)), positions, (True,) * n_channels, "average")


@pytest.fixture
def small() -> Montage:
    return make_montage(3)


@pytest.fixture
def large() -> Montage:
    return make_montage(5)


@pytest.fixture
def stores(small: Montage, large: Montage) -> dict[str, MemoryStore]:
    return {"hbn": MemoryStore([large, small], 4, 90), "tuh": MemoryStore([small], 3, 90)}
