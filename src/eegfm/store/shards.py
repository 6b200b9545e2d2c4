"""Append to the shards of a store. Only one writer does so at a time."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eegfm.recording import Montage
from eegfm.store.index import RecordingEntry
from eegfm.store.layout import SAMPLE_DTYPE, shard_path

_Place = tuple[str, int]
"""Montage and number of a shard."""


class Shards:
    """The end of each shard, as far as commits know of it: what lies behind an end is overwritten.

    Args:
        folder: The store's folder.
        shard_bytes: A shard that has reached this size is followed by a new one.
    """

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self._folder = folder
        self._shard_bytes = shard_bytes
        self._tails: dict[_Place, int] = {}
        self._row_bytes: dict[str, int] = {}

    def files(self) -> list[Path]:
        """All shards that lie in the folder, whether a commit knows of them or not."""
        return sorted(self._folder.glob("*/shard_*.i16"))

    def least_bytes(self) -> Mapping[Path, int]:
        """Least length of each shard."""
        return {
            shard_path(self._folder, *place): n_rows * self._row_bytes[place[0]]
            for place, n_rows in self._tails.items()
        }

    def note(self, entry: RecordingEntry) -> None:
        """Take note of a recording that was committed."""
        place = (entry.montage, entry.shard)
        self._tails[place] = max(self._tails.get(place, 0), entry.first_row + entry.n_samples)
        self._row_bytes[entry.montage] = SAMPLE_DTYPE.itemsize * len(entry.scales_uv)

    def append(self, montage: Montage, samples: NDArray[np.int16]) -> tuple[int, int]:
        """Append the samples of one recording, and sync them.

        Args:
            montage: Its channels.
            samples: (T, C) int16.

        Returns:
            Number of the shard, and the first row in it.
        """
        row_bytes = SAMPLE_DTYPE.itemsize * montage.n_channels
        shard = max((shard for name, shard in self._tails if name == montage.name), default=0)
        first_row = self._tails.get((montage.name, shard), 0)
        if first_row * row_bytes >= self._shard_bytes:
            shard, first_row = shard + 1, 0
        path = shard_path(self._folder, montage.name, shard)
        with path.open("r+b" if path.exists() else "w+b") as file:
            # Cut what an interrupted commit may have left behind the last committed row.
            file.truncate(first_row * row_bytes)
            file.seek(first_row * row_bytes)
            file.write(np.ascontiguousarray(samples, dtype=SAMPLE_DTYPE).data)
            file.flush()
            os.fsync(file.fileno())
        self._tails[(montage.name, shard)] = first_row + len(samples)
        self._row_bytes[montage.name] = row_bytes
        return shard, first_row

    def begin_new(self) -> None:
        """Let the next recording of each montage begin a new shard; the old ones become unknown."""
        montages = {montage for montage, _ in self._tails}
        next_shards = {m: 1 + max(shard for name, shard in self._tails if name == m) for m in montages}
        self._tails = dict.fromkeys(next_shards.items(), 0)

    def delete_unknown(self) -> None:
        """Delete shards that an interrupted compaction made or left behind."""
        known = self.least_bytes().keys()
        for path in self.files():
            if path not in known:
                path.unlink()
