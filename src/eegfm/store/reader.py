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
from eegfm.store.addresses import Addresses, addresses_of, read_addresses
from eegfm.store.arena import Arena
from eegfm.store.checksums import block_checksums
from eegfm.store.contents import Contents, read_contents
from eegfm.store.index import Entry, RecordingEntry, RejectedEntry, read_index
from eegfm.store.layout import StoreFacts, read_facts, read_montage, shard_path
from eegfm.store.read_ahead import ReadAhead


class SignalStore:
    """Read-only handle on a store. Cheap to pickle: it travels as its path and opens files when asked.

    A *row* is one time point of all channels. Rows of one montage are numbered through its shards, so that
    one int64 addresses a window's first sample wherever it lies. The addresses come from a file beside the index
    (``eegfm.store.addresses``) and open at once; everything else that is known of recordings means reading the index.

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
    def _addresses(self) -> dict[str, Addresses]:
        read_facts(self.folder)  # refuses what is not a store
        addresses = read_addresses(self.folder)
        return addresses_of(self.entries) if addresses is None else addresses

    @cached_property
    def _contents(self) -> Contents:
        return read_contents(self.folder)

    @property
    def identity(self) -> str:
        """Hash of all that is in the store; no samples are read."""
        return self._contents.sha256

    def signals_sha256(self, recording_ids: Iterable[str]) -> str:
        """Hash of the signals of some recordings; no samples are read.

        Raises:
            StoreError: A recording is not in the store.
        """
        return self._contents.sha256_of(recording_ids)

    @cached_property
    def montages(self) -> dict[str, Montage]:
        """Montages by name."""
        return {name: read_montage(self.folder, name) for name in self._addresses}

    def locate(
        self,
        montage: str,
        recording_ids: Iterable[str],
        starts: NDArray[np.int64],
        n_samples: int | NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Address windows, or runs of windows.

        Args:
            montage: Montage name.
            recording_ids: (W,) recording of each window.
            starts: (W,) first sample of each window inside its recording.
            n_samples: Length of the windows; (W,) samples from the start to the end of each run.

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

    def shards(self, montage: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(S,) first row and (S,) number of rows of each shard of a montage: rows in between hold nothing."""
        arena = self._group(montage).arena
        return arena.first_rows, arena.n_rows

    def gather(
        self, montage: str, rows: NDArray[np.int64], n_samples: int, out: NDArray[np.int16] | None = None
    ) -> NDArray[np.int16]:
        """Copy windows out of the mapped shards, in one call for all of them.

        Args:
            montage: Montage name.
            rows: (B,) first rows, from ``locate``.
            n_samples: Window length T.
            out: (B, T, C) where to copy to, C order; new memory where it is None.

        Returns:
            (B, T, C) int16, ``out`` where it is given.

        Raises:
            StoreError: A window is not inside one shard.
        """
        group = self._group(montage)
        group.read_ahead.ask_in_passing(rows, n_samples)
        return group.arena.gather(rows, n_samples, out)

    def read_ahead(self, montage: str, first_rows: NDArray[np.int64], n_rows: int | NDArray[np.int64]) -> bool:
        """Ask the system to read stretches of rows that are not in the page cache; returns before it has.

        A batch of windows in random places is read many times as fast when the system knows of all of them at once.

        Args:
            montage: Montage name.
            first_rows: (E,) first rows, from ``locate``.
            n_rows: Length of the stretches, or (E,) length of each.

        Returns:
            Whether there was anything to read, as far as a few samples tell.

        Raises:
            StoreError: A stretch is not inside one shard.
        """
        return self._group(montage).read_ahead.ask(first_rows, n_rows)

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
        first_row = group.arena.first_rows[group.numbers.searchsorted(entry.shard)] + entry.first_row
        return group.arena.rows(int(first_row), entry.n_samples)

    @cached_property
    def _groups(self) -> dict[str, "_Group"]:
        return {}

    def _group(self, montage: str) -> "_Group":
        if montage not in self._groups:
            if montage not in self.montages:
                raise StoreError(f"{self.folder}: no montage {montage}; there are {sorted(self.montages)}")
            self._groups[montage] = _Group(self.folder, self.montages[montage], self._addresses[montage])
        return self._groups[montage]


class _Group:
    """The mapped shards and address columns of one montage."""

    def __init__(self, folder: Path, montage: Montage, addresses: Addresses) -> None:
        self.ids = pd.Index(addresses.recording_ids.to_pandas())
        self.scales_uv = addresses.scales_uv
        self.n_samples = addresses.n_samples
        # Compaction leaves out numbers: what counts is the place of a shard among those that are there.
        self.numbers = np.unique(addresses.shards)
        places = self.numbers.searchsorted(addresses.shards)
        paths = [shard_path(folder, montage.name, int(number)) for number in self.numbers]
        self.arena = Arena(paths, montage.n_channels)
        self.read_ahead = ReadAhead(self.arena)
        beyond = addresses.first_rows + addresses.n_samples > self.arena.n_rows[places]
        if beyond.any():
            raise StoreError(
                f"{folder}: recording {self.ids[beyond][0]} reaches beyond its shard; "
                "the shard was cut, delete the store and ingest again"
            )
        self.first_rows = self.arena.first_rows[places] + addresses.first_rows
