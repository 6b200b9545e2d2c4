"""Read the signal store: map the shards once, gather a whole batch in one call."""

import hashlib
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import StoreError
from eegfm.recording import Montage
from eegfm.store.addresses import Addresses, addresses_of, read_addresses
from eegfm.store.contents import Contents, read_contents
from eegfm.store.damage import is_intact, remedy
from eegfm.store.guard import BlockGuard
from eegfm.store.index import RecordingEntry, RejectedEntry, read_index
from eegfm.store.layout import StoreFacts, read_facts, read_montage, shard_path
from eegfm.store.mapped_shards import MappedShards
from eegfm.store.read_ahead import ReadAhead


class SignalStore:
    """Read-only handle on a store. It is cheap to pickle: its path is pickled, and files are opened on first use.

    A *row* is one time point of all channels. Rows of one montage are numbered through its shards, so one int64
    addresses a window's first sample. The addresses come from a file beside the index (``eegfm.store.addresses``) and
    open at once. All other facts about recordings need the index.

    Samples are compared with their checksums when they are read, block by block and each block once per handle; no
    reading method returns samples of a damaged block.

    Args:
        folder: The store's folder.
        verify: False returns samples without comparing them.
    """

    def __init__(self, folder: Path, *, verify: bool = True) -> None:
        self.folder = Path(folder)
        self._verify = verify

    def __reduce__(self) -> tuple[Callable[[Path], "SignalStore"], tuple[Path]]:
        return partial(type(self), verify=self._verify), (self.folder,)

    def unverified(self) -> "SignalStore":
        """A handle on the same store that returns samples without comparing them with their checksums."""
        return type(self)(self.folder, verify=False)

    @cached_property
    def _facts(self) -> StoreFacts:
        return read_facts(self.folder)

    @property
    def rate_hz(self) -> float:
        """Sampling rate of all signals."""
        return self._facts.rate_hz

    @property
    def filters(self) -> dict[str, float | None]:
        """Filter edges of every signal: ``low_hz``, ``high_hz``, ``notch_hz``."""
        return self._facts.filters

    @property
    def is_simulated(self) -> bool:
        """True if the recordings are simulated."""
        return self._facts.is_simulated

    @cached_property
    def _index(self) -> dict[str, RecordingEntry | RejectedEntry]:
        read_facts(self.folder)  # refuses what is not a store
        return read_index(self.folder)

    @cached_property
    def entries(self) -> list[RecordingEntry]:
        """Committed recordings, in order of commit."""
        return [e for e in self._index.values() if isinstance(e, RecordingEntry)]

    @cached_property
    def rejected(self) -> list[RejectedEntry]:
        """Rejected files."""
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
        """Hash of the whole store; no samples are read."""
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
            StoreError: A recording is not in this montage of the store, or a window leaves its recording. The windows
                were then cut from another version of the recording.
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

    def is_bad(self, montage: str) -> NDArray[np.bool_]:
        """(R, C) whether a channel of a recording is bad, in the rows of ``scales``."""
        return self._group(montage).is_bad

    def shards(self, montage: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(S,) first row and (S,) number of rows of each shard of a montage. Rows between shards are empty."""
        shards = self._group(montage).shards
        return shards.first_rows, shards.n_rows

    def gather(
        self, montage: str, rows: NDArray[np.int64], n_samples: int, out: NDArray[np.int16] | None = None
    ) -> NDArray[np.int16]:
        """Copy windows out of the mapped shards, all in one call.

        Args:
            montage: Montage name.
            rows: (B,) first rows, from ``locate``.
            n_samples: Window length T.
            out: (B, T, C) target of the copy, C order; None for new memory.

        Returns:
            (B, T, C) int16, which is ``out`` if given.

        Raises:
            StoreError: A window is not inside one shard, or samples differ from their checksums.
        """
        group = self._group(montage)
        group.read_ahead.ask_in_passing(rows, n_samples)
        if self._verify:
            group.guard.check(rows, n_samples)
        return group.shards.gather(rows, n_samples, out)

    def verify(self, montage: str, scale_rows: NDArray[np.int64]) -> int:
        """Compare whole recordings with their checksums before they are read, at the speed of the disk.

        Args:
            montage: Montage name.
            scale_rows: (N,) recordings as rows of ``scales``, from ``locate``.

        Returns:
            Number of bytes of the recordings.

        Raises:
            StoreError: Samples differ from their checksums; all recordings with such samples are named.
        """
        group = self._group(montage)
        n_rows = group.n_samples[scale_rows]
        group.guard.check_all(group.first_rows[scale_rows], n_rows)
        return int(n_rows.sum()) * group.shards.row_bytes

    def read_ahead(self, montage: str, first_rows: NDArray[np.int64], n_rows: int | NDArray[np.int64]) -> bool:
        """Ask the system to read stretches of rows that are not in the page cache. Returns before they are read.

        Windows in random places are read many times as fast if the system gets all requests at once.

        Args:
            montage: Montage name.
            first_rows: (E,) first rows, from ``locate``.
            n_rows: Length of the stretches, or (E,) length of each.

        Returns:
            Whether anything had to be read, judged by a few stretches.

        Raises:
            StoreError: A stretch is not inside one shard.
        """
        return self._group(montage).read_ahead.ask(first_rows, n_rows)

    def recording(self, recording_id: str) -> NDArray[np.float32]:
        """(T, C) float32 microvolts of one recording, with the store's rate and filters, against its own reference.

        Raises:
            StoreError: No such recording, or its samples differ from their checksums.
        """
        return self.stretch(recording_id, 0, self._entry(recording_id).n_samples)

    def stretch(self, recording_id: str, start: int, stop: int) -> NDArray[np.float32]:
        """Samples [start, stop) of one recording: (T, C) float32 microvolts.

        Raises:
            StoreError: No such recording, or its samples differ from their checksums.
        """
        entry = self._entry(recording_id)
        assert 0 <= start <= stop <= entry.n_samples, "samples lie inside the recording"
        if self._verify:
            first_row = self._row(entry) + start
            self._group(entry.montage).guard.check_all(np.array([first_row]), np.array([stop - start]))
        return self._samples(entry)[start:stop].astype(np.float32) * np.asarray(entry.scales_uv, dtype=np.float32)

    def damaged(self) -> list[str]:
        """Ids of recordings whose samples do not match their checksums; reads the whole store."""
        return [e.recording_id for e in self.entries if not is_intact(self.folder, e)]

    def digest(self) -> str:
        """SHA-256 over (recording id, scales, bad channels, samples) in id order. Equal stores have equal digests."""
        sha = hashlib.sha256()
        for entry in sorted(self.entries, key=lambda e: e.recording_id):
            sha.update(entry.recording_id.encode())
            sha.update(np.asarray(entry.scales_uv, dtype="<f4").tobytes())
            sha.update(np.asarray(entry.bad_channels, dtype="<i4").tobytes())
            sha.update(np.ascontiguousarray(self._samples(entry)).data)
        return sha.hexdigest()

    def _entry(self, recording_id: str) -> RecordingEntry:
        entry = self._index.get(recording_id)
        if not isinstance(entry, RecordingEntry):
            raise StoreError(f"{self.folder}: recording {recording_id} is not in the store")
        return entry

    def _samples(self, entry: RecordingEntry) -> NDArray[np.int16]:
        return self._group(entry.montage).shards.rows(self._row(entry), entry.n_samples)

    def _row(self, entry: RecordingEntry) -> int:
        group = self._group(entry.montage)
        return int(group.shards.first_rows[group.numbers.searchsorted(entry.shard)]) + entry.first_row

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
        self.is_bad = addresses.is_bad
        self.n_samples = addresses.n_samples
        # Compaction leaves gaps in the numbers of shards. Use the position of a shard among the existing ones.
        self.numbers = np.unique(addresses.shards)
        places = self.numbers.searchsorted(addresses.shards)
        paths = [shard_path(folder, montage.name, int(number)) for number in self.numbers]
        self.shards = MappedShards(paths, montage.n_channels)
        self.read_ahead = ReadAhead(self.shards)
        beyond = addresses.first_rows + addresses.n_samples > self.shards.n_rows[places]
        if beyond.any():
            cut = self.ids[beyond].tolist()
            raise StoreError(
                f"{folder}: recording {cut[0]} reaches beyond its shard, which was cut; {remedy(folder, cut)}"
            )
        self.first_rows = self.shards.first_rows[places] + addresses.first_rows
        self._guarded = folder, addresses.block_crc32c

    @cached_property
    def guard(self) -> BlockGuard:
        """The guard that compares samples with their checksums. It remembers compared blocks."""
        folder, block_crc32c = self._guarded
        return BlockGuard(folder, self.shards, self.read_ahead, self.ids, self.first_rows, self.n_samples, block_crc32c)
