"""Write the signal store: one process appends samples, and the index line is the commit."""

import contextlib
import logging
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import StoreError
from eegfm.files import exclusive
from eegfm.recording import Montage
from eegfm.store.addresses import drop_addresses, write_addresses
from eegfm.store.changes import Before, is_stale
from eegfm.store.checksums import block_checksums
from eegfm.store.compaction import compact
from eegfm.store.contents import write_contents
from eegfm.store.damage import damaged_recordings, is_marked, remove_mark, restore_length
from eegfm.store.index import (
    INDEX_FILE,
    Entry,
    RecordingEntry,
    RejectedEntry,
    RemovedEntry,
    TouchedEntry,
    scan_index,
    to_line,
)
from eegfm.store.layout import (
    MONTAGE_FILE,
    SAMPLE_DTYPE,
    SHARD_BYTES,
    STORE_FILE,
    StoreFacts,
    n_blocks,
    read_facts,
    write_facts,
    write_montage,
)
from eegfm.store.shards import Shards

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """Error of the operating system about the store's folder, in words for the user."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise StoreError(
            f"{where}: cannot be written ({error.strerror or error}); the store {folder} needs permission and space. "
            "What got in stays; run again to go on"
        ) from error


class _Known(NamedTuple):
    """Facts about a commit that the writer keeps. They are few, so memory hardly grows with the recordings."""

    key: str
    code: str  # code of a rejection
    n_bytes: int  # bytes of the samples of a recording
    named: Mapping[str, str]  # versions of files that only its header names
    readers: Mapping[str, str]  # versions of the readers, by format
    content: str  # hash of the contents of its files


class StoreWriter:
    """Append recordings to a store; use as a context manager, which holds the store's lock.

    An interrupted commit leaves bytes after the last index line or after the last committed row of a shard. They are
    never read. The next opening cuts off the line, and the next commit overwrites the rows.

    The whole store is read on opening if damage was found (``eegfm.store.damage``), or if shards are shorter than the
    index says. Damaged recordings are dropped, so ``keys`` does not list them.

    Args:
        folder: The store's folder, made if absent.
        facts: Facts about the whole store. A store with other facts is emptied, because its recordings are stale.
        shard_bytes: A shard that has reached this size is followed by a new one.
        before: Called with the ids of the stored recordings and the raw folder of the last run, before anything is
            changed. If it raises an error, the store stays as it is.
    """

    def __init__(
        self,
        folder: Path,
        facts: StoreFacts,
        *,
        shard_bytes: int = SHARD_BYTES,
        before: Before = lambda _ids, _raw_folder: None,
    ) -> None:
        self.folder = Path(folder)
        self._before = before
        self._facts = facts
        self._shards = Shards(self.folder, shard_bytes)
        self._lock = contextlib.ExitStack()
        self._known: dict[str, _Known] = {}
        self._readers: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}

    def __enter__(self) -> "StoreWriter":
        with _in_words(self.folder), contextlib.ExitStack() as lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(exclusive(self.folder / "lock", self._busy))
            self._open()
            self._lock = lock.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            shutil.rmtree(self.spool, ignore_errors=True)
            if kind is None:
                self._note_raw_folder()
                self._leave_addresses()

    @property
    def spool(self) -> Path:
        """Folder for the temporary files of workers; emptied at opening and closing."""
        return self.folder / "spool"

    @property
    def keys(self) -> dict[str, str]:
        """Key of each committed recording or rejection, by recording id."""
        return {i: known.key for i, known in self._known.items()}

    @property
    def rejection_codes(self) -> dict[str, str]:
        """Code of each rejection, by recording id."""
        return {i: known.code for i, known in self._known.items() if known.code}

    @property
    def named_files(self) -> dict[str, Mapping[str, str]]:
        """Versions of files that only a header names, by path, for each recording or rejection with such a header."""
        return {i: known.named for i, known in self._known.items() if known.named}

    @property
    def readers(self) -> dict[str, Mapping[str, str]]:
        """Versions of the readers by format, for each recording or rejection."""
        return {i: known.readers for i, known in self._known.items()}

    @property
    def contents(self) -> dict[str, str]:
        """Bytes and hash of the contents of the files, for each recording or rejection that knows them."""
        return {i: known.content for i, known in self._known.items() if known.content}

    def commit(
        self,
        *,
        recording_id: str,
        key: str,
        montage: Montage,
        samples: NDArray[np.int16],
        scales_uv: NDArray[np.float32],
        facts: Mapping[str, Any],
        events: list[dict[str, Any]],
        block_crc32c: list[int] | None = None,
        bad_channels: Collection[str] = (),
        named: Mapping[str, str] = MappingProxyType({}),
        readers: Mapping[str, str] = MappingProxyType({}),
        content: str = "",
    ) -> None:
        """Append one recording: samples first, then the index line that makes it visible.

        Args:
            recording_id: Its id; a recording of the same id is replaced.
            key: Identity of the file, its side files and its row.
            montage: Its channels.
            samples: (T, C) int16.
            scales_uv: (C,) microvolts per step.
            facts: Facts about the recording, JSON-ready.
            events: Rows of the events table, JSON-ready.
            block_crc32c: Checksums of the samples when they were made, if known. They reveal damage on the way here.
            bad_channels: Names of the channels whose signal cannot be trusted.
            named: Versions of files that only its header names, by path.
            readers: Versions of the readers that read it, by format.
            content: Bytes and hash of the contents of its files.
        """
        assert samples.shape[1] == montage.n_channels == len(scales_uv), "one column and scale per channel"
        assert set(bad_channels) <= set(montage.channel_names), "bad channels are channels of the montage"
        if block_crc32c is None:
            block_crc32c = block_checksums(samples)
        assert len(block_crc32c) == n_blocks(np.array(len(samples))), "one checksum per block"
        with _in_words(self.folder):
            write_montage(self.folder, montage)
            shard, first_row = self._shards.append(montage, samples)
        entry = RecordingEntry(
            recording_id=recording_id,
            key=key,
            montage=montage.name,
            shard=shard,
            first_row=first_row,
            n_samples=len(samples),
            scales_uv=[float(s) for s in scales_uv],
            bad_channels=[k for k, name in enumerate(montage.channel_names) if name in bad_channels],
            block_crc32c=block_crc32c,
            facts=dict(facts),
            events=events,
            named=dict(named),
            readers=dict(readers),
            content=content,
        )
        self._append_entry(entry)

    def reject(self, entry: RejectedEntry) -> None:
        """Record the rejection of a file."""
        self._append_entry(entry)

    def remove(self, recording_id: str) -> None:
        """Drop a recording or rejection whose raw file is gone. Its bytes remain as dead space."""
        self._append_entry(RemovedEntry(recording_id))

    def touch(self, recording_id: str, key: str, named: Mapping[str, str]) -> None:
        """Give a recording or rejection the key of files that have other times and the same contents."""
        self._append_entry(TouchedEntry(recording_id, key, dict(named)))

    def compact(self) -> None:
        """Remove the bytes of replaced and removed recordings, if they are over a fifth of all bytes."""
        compact(self.folder, self._shards, sum(known.n_bytes for known in self._known.values()))

    def _note_raw_folder(self) -> None:
        """Write the raw folder of this run, which counts as the last one only where the run took its recordings."""
        with _in_words(self.folder):
            if read_facts(self.folder).raw_folder != self._facts.raw_folder:
                write_facts(self.folder, self._facts)

    def _leave_addresses(self) -> None:
        """Write addresses and contents, or log why not. Readers can do without them, only slower."""
        try:
            write_addresses(self.folder)
            write_contents(self.folder)
        except OSError as error:
            _log.warning("%s opens slowly: the addresses of its recordings cannot be written (%s)", self.folder, error)

    def _busy(self, who: str) -> StoreError:
        return StoreError(f"{self.folder}: {who} is writing to this store; wait for it or end it")

    def _open(self) -> None:
        shutil.rmtree(self.spool, ignore_errors=True)
        if not (self.folder / STORE_FILE).exists() or is_stale(self.folder, self._facts, self._before):
            self._start_empty()
        n_whole = 0
        for entry, end in scan_index(self.folder):
            n_whole = end
            self._remember(entry)
            if isinstance(entry, RecordingEntry):
                self._shards.note(entry)
        index = self.folder / INDEX_FILE
        if index.exists() and index.stat().st_size > n_whole:
            os.truncate(index, n_whole)
        self._shards.delete_unknown()
        self._drop_damaged()
        self.spool.mkdir()

    def _drop_damaged(self) -> None:
        """Read the whole store if damage is known, and remove damaged recordings."""
        n_bytes = self._shards.least_bytes()
        cut = [path for path, n in n_bytes.items() if not path.exists() or path.stat().st_size < n]
        if not cut and not is_marked(self.folder):
            return
        for recording_id in damaged_recordings(self.folder):
            self.remove(recording_id)
        for path in cut:
            restore_length(path, n_bytes[path])
        remove_mark(self.folder)

    def _remember(self, entry: Entry) -> None:
        known = self._known.pop(entry.recording_id, None)
        if isinstance(entry, TouchedEntry):
            assert known is not None, "only what is stored is touched"
            self._known[entry.recording_id] = known._replace(key=entry.key, named=entry.named)
            return
        if isinstance(entry, RemovedEntry):
            return
        # Few of them differ, so one copy of each is kept.
        readers = self._readers.setdefault(tuple(entry.readers.items()), entry.readers)
        if isinstance(entry, RecordingEntry):
            n_bytes = entry.n_samples * SAMPLE_DTYPE.itemsize * len(entry.scales_uv)
            self._known[entry.recording_id] = _Known(entry.key, "", n_bytes, entry.named, readers, entry.content)
        else:
            self._known[entry.recording_id] = _Known(entry.key, entry.code, 0, entry.named, readers, entry.content)

    def _start_empty(self) -> None:
        """Empty the store. The index goes first, because without it no shard is read."""
        drop_addresses(self.folder)
        (self.folder / INDEX_FILE).unlink(missing_ok=True)
        for path in [*self._shards.files(), *self.folder.glob(f"*/{MONTAGE_FILE}")]:
            path.unlink()
        remove_mark(self.folder)
        write_facts(self.folder, self._facts)

    def _append_entry(self, entry: Entry) -> None:
        with _in_words(self.folder), (self.folder / INDEX_FILE).open("ab") as file:
            file.write(to_line(entry))
            file.flush()
            os.fsync(file.fileno())
        self._remember(entry)
