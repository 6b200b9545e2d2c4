"""Read side of the signal store: map the shards once, gather a whole batch in one call."""

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import StoreError
from eegfm.recording import Montage
from eegfm.store.checksums import block_checksums
from eegfm.store.index import Entry, RecordingEntry, RejectedEntry, read_index
from eegfm.store.layout import SAMPLE_DTYPE, StoreFacts, read_facts, read_montage, shard_path


class SignalStore:
    """Read-only handle on a store. Cheap to pickle: it travels as its path and opens files when asked.

    A *row* is one time point of all channels. Rows of one montage are numbered through its shards, so that
    one int64 addresses a window's first sample wherever it lies.

    Args:
        folder: The store's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def __reduce__(self) -> tuple[type["SignalStore"], tuple[Path]]:
        return type(self), (self.folder,)

    @cached_property
    def _facts(self) -> StoreFacts:
        return read_facts(self.folder)

    @property
    def rate_hz(self) -> float:
        """Sampling rate of all signals."""
        return self._facts.rate_hz

    @property
    def filters(self) -> dict[str, float | None]:
        """What every signal went through: ``low_hz``, ``high_hz``, ``notch_hz``."""
        return self._facts.filters

    @property
    def is_simulated(self) -> bool:
        """Whether the recordings are simulated."""
        return self._facts.is_simulated

    @cached_property
    def _index(self) -> dict[str, Entry]:
        read_facts(self.folder)  # refuses what is not a store
        return read_index(self.folder)

    @cached_property
    def entries(self) -> list[RecordingEntry]:
        """Committed recordings, in order of commit."""
        return [e for e in self._index.values() if isinstance(e, RecordingEntry)]

    @cached_property
    def rejected(self) -> list[RejectedEntry]:
        """Files that did not get in."""
        return [e for e in self._index.values() if isinstance(e, RejectedEntry)]

    @cached_property
    def montages(self) -> dict[str, Montage]:
        """Montages by name."""
        return {name: read_montage(self.folder, name) for name in sorted({e.montage for e in self.entries})}

    def locate(
        self, montage: str, recording_ids: Iterable[str], starts: NDArray[np.int64], n_samples: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Address windows.

        Args:
            montage: Montage name.
            recording_ids: (W,) recording of each window.
            starts: (W,) first sample of each window inside its recording.
            n_samples: Length of the windows.

        Returns:
            (W,) first rows for ``gather`` and (W,) rows of ``scales``.

        Raises:
            StoreError: A recording is not in this montage of the store, or a window leaves its recording: the
                windows were cut from another version of it.
        """
        group = self._group(montage)
        ids = pd.Index(recording_ids)
        scale_rows = group.ids.get_indexer(ids).astype(np.int64)
        if (scale_rows < 0).any():
            missing = ids[scale_rows < 0][0]
            raise StoreError(f"{self.folder}: recording {missing} is not in montage {montage}; ingest it again")
        outside = (starts < 0) | (starts + n_samples > group.n_samples[scale_rows])
        if outside.any():
            raise StoreError(
                f"{self.folder}: a window leaves recording {ids[outside][0]}, which has changed since it was cut; "
                "cut the windows again with: kedro run --tags=data"
            )
        return group.first_rows[scale_rows] + starts, scale_rows

    def scales(self, montage: str) -> NDArray[np.float32]:
        """(R, C) microvolts per integer step of each recording and channel."""
        return self._group(montage).scales_uv

    def gather(self, montage: str, rows: NDArray[np.int64], n_samples: int) -> NDArray[np.int16]:
        """Copy windows out of the mapped shards.

        Args:
            montage: Montage name.
            rows: (B,) first rows, from ``locate``.
            n_samples: Window length T.

        Returns:
            (B, T, C) int16.
        """
        group = self._group(montage)
        if len(group.shards) == 1:
            return _windows(group.shards[0], rows, n_samples)
        out = np.empty((len(rows), n_samples, group.n_channels), dtype=np.int16)
        shard_of = np.searchsorted(group.shard_starts, rows, side="right") - 1  # place among the shards, not its number
        for shard in np.unique(shard_of):
            chosen = shard_of == shard
            out[chosen] = _windows(group.shards[shard], rows[chosen] - group.shard_starts[shard], n_samples)
        return out

    def recording(self, recording_id: str) -> NDArray[np.float32]:
        """(T, C) float32 microvolts of one recording, as recorded.

        Raises:
            StoreError: No such recording.
        """
        entry = self._index.get(recording_id)
        if not isinstance(entry, RecordingEntry):
            raise StoreError(f"{self.folder}: recording {recording_id} is not in the store")
        return self._samples(entry).astype(np.float32) * np.asarray(entry.scales_uv, dtype=np.float32)

    def damaged(self) -> list[str]:
        """Ids of recordings whose samples do not match their checksums; reads the whole store."""
        return [e.recording_id for e in self.entries if block_checksums(self._samples(e)) != e.block_crc32c]

    def digest(self) -> str:
        """SHA-256 over (recording id, scales, samples) in id order: equal stores give equal digests."""
        sha = hashlib.sha256()
        for entry in sorted(self.entries, key=lambda e: e.recording_id):
            sha.update(entry.recording_id.encode())
            sha.update(np.asarray(entry.scales_uv, dtype="<f4").tobytes())
            sha.update(np.ascontiguousarray(self._samples(entry)).data)
        return sha.hexdigest()

    def _samples(self, entry: RecordingEntry) -> NDArray[np.int16]:
        group = self._group(entry.montage)
        shard: NDArray[np.int16] = group.shards[group.place_of[entry.shard]]
        return shard[entry.first_row : entry.first_row + entry.n_samples]

    @cached_property
    def _groups(self) -> dict[str, "_Group"]:
        return {}

    def _group(self, montage: str) -> "_Group":
        if montage not in self._groups:
            if montage not in self.montages:
                raise StoreError(f"{self.folder}: no montage {montage}; there are {sorted(self.montages)}")
            entries = [e for e in self.entries if e.montage == montage]
            self._groups[montage] = _Group(self.folder, self.montages[montage], entries)
        return self._groups[montage]


class _Group:
    """The mapped shards and address columns of one montage."""

    def __init__(self, folder: Path, montage: Montage, entries: list[RecordingEntry]) -> None:
        self.n_channels = montage.n_channels
        self.ids = pd.Index([e.recording_id for e in entries])
        self.scales_uv = np.array([e.scales_uv for e in entries], dtype=np.float32)
        self.n_samples = np.array([e.n_samples for e in entries], dtype=np.int64)
        # Compaction leaves out numbers: what counts is the place of a shard among those that are there.
        self.place_of = {number: place for place, number in enumerate(sorted({e.shard for e in entries}))}
        self.shards = [_map_shard(shard_path(folder, montage.name, k), self.n_channels) for k in self.place_of]
        lengths = [len(s) for s in self.shards]
        self.shard_starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        places = np.array([self.place_of[e.shard] for e in entries], dtype=np.int64)
        self.first_rows = self.shard_starts[places] + np.array([e.first_row for e in entries], dtype=np.int64)
        for entry in entries:
            if entry.first_row + entry.n_samples > lengths[self.place_of[entry.shard]]:
                raise StoreError(
                    f"{folder}: recording {entry.recording_id} reaches beyond its shard; "
                    "the shard was cut, delete the store and ingest again"
                )


def _map_shard(path: Path, n_channels: int) -> NDArray[np.int16]:
    if not path.is_file():
        raise StoreError(f"{path}: shard is missing; delete the store and ingest again")
    n_rows = path.stat().st_size // (SAMPLE_DTYPE.itemsize * n_channels)
    return np.memmap(path, dtype=SAMPLE_DTYPE, mode="r", shape=(n_rows, n_channels))


def _windows(shard: NDArray[np.int16], rows: NDArray[np.int64], n_samples: int) -> NDArray[np.int16]:
    """One fancy index on overlapping rows: no Python per window."""
    n_rows, n_channels = shard.shape
    if len(rows) and (rows.min() < 0 or rows.max() + n_samples > n_rows):
        raise StoreError(f"windows of {n_samples} samples reach beyond the {n_rows} samples of the shard")
    itemsize = shard.strides[1]
    overlapping = np.lib.stride_tricks.as_strided(
        shard,
        shape=(max(n_rows - n_samples + 1, 0), n_samples * n_channels),
        strides=(n_channels * itemsize, itemsize),
        writeable=False,
    )
    return np.asarray(overlapping[rows]).reshape(len(rows), n_samples, n_channels)
