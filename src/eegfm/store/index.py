"""Index of the store: one checksummed JSON line per commit. A whole line is a commit, a partial line is none."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import google_crc32c

from eegfm.errors import StoreError

INDEX_FILE = "index.jsonl"


@dataclass(frozen=True)
class RecordingEntry:
    """One recording in the store.

    Args:
        recording_id: Unique id within the corpus.
        key: Identity of its raw file, its side files and its row of ``raw_files``.
        montage: Name of its montage.
        shard: Number of the shard that holds it.
        first_row: First row inside the shard.
        n_samples: Rows, one per sample.
        scales_uv: Per channel, microvolts per integer step.
        bad_channels: Ascending numbers of the channels whose signal cannot be trusted.
        block_crc32c: CRC-32C of each block of ``BLOCK_ROWS`` rows.
        facts: Facts from the conversion, which join its row of ``raw_files`` in the ``recordings`` table.
        events: Its rows of the ``events`` table.
        named: Versions of files that only its header names, by path; empty for a missing file.
        readers: Versions of the readers that read it, by format.
        content: Bytes and hash of the files that it was made from, without their times; empty if unknown.
    """

    recording_id: str
    key: str
    montage: str
    shard: int
    first_row: int
    n_samples: int
    scales_uv: list[float]
    bad_channels: list[int]
    block_crc32c: list[int]
    facts: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    readers: dict[str, str] = field(default_factory=dict)
    content: str = ""


@dataclass(frozen=True)
class RejectedEntry:
    """One rejected file with the reason. ``named``, ``readers`` and ``content`` are as for recordings."""

    recording_id: str
    key: str
    path: str
    stage: str
    code: str
    reason: str
    remedy: str
    named: dict[str, str] = field(default_factory=dict)
    readers: dict[str, str] = field(default_factory=dict)
    content: str = ""


@dataclass(frozen=True)
class RemovedEntry:
    """A recording whose raw file is gone."""

    recording_id: str


@dataclass(frozen=True)
class TouchedEntry:
    """A recording or rejection whose files have other times and the same contents: ``key`` and ``named`` of today."""

    recording_id: str
    key: str
    named: dict[str, str] = field(default_factory=dict)


Entry = RecordingEntry | RejectedEntry | RemovedEntry | TouchedEntry
_KINDS: dict[str, type[RecordingEntry] | type[RejectedEntry] | type[RemovedEntry] | type[TouchedEntry]] = {
    "recording": RecordingEntry,
    "rejected": RejectedEntry,
    "removed": RemovedEntry,
    "touched": TouchedEntry,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_line(entry: Entry) -> bytes:
    """One line: CRC-32C in hexadecimal, a blank, JSON, newline."""
    text = json.dumps({"kind": _NAMES[type(entry)], **asdict(entry)}, separators=(",", ":"), allow_nan=False)
    data = text.encode()
    return b"%08x %s\n" % (google_crc32c.value(data), data)


def read_index(folder: Path) -> dict[str, RecordingEntry | RejectedEntry]:
    """Read the index.

    Returns:
        The last entry of each recording id, in order of commit, without removed recordings.

    Raises:
        StoreError: A line before the last one is damaged.
    """
    entries: dict[str, RecordingEntry | RejectedEntry] = {}
    for entry, _ in scan_index(folder):
        if isinstance(entry, TouchedEntry):
            # The recording keeps its place in the order of commits.
            entries[entry.recording_id] = replace(entries[entry.recording_id], key=entry.key, named=entry.named)
            continue
        entries.pop(entry.recording_id, None)
        if not isinstance(entry, RemovedEntry):
            entries[entry.recording_id] = entry
    return entries


def scan_index(folder: Path) -> Iterator[tuple[Entry, int]]:
    """Read all commits, one at a time.

    Yields:
        Each entry, and the end of its line. Bytes after the last line are the torn end of an interrupted commit.

    Raises:
        StoreError: A line before the last one is damaged.
    """
    path = folder / INDEX_FILE
    if not path.exists():
        return
    n_bytes, end = path.stat().st_size, 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            end += len(line)
            entry = _parse(line)
            if entry is None:
                if end < n_bytes:
                    raise StoreError(f"{path}: line {number} is damaged; move {folder} away and ingest again")
                return
            yield entry, end


def _parse(line: bytes) -> Entry | None:
    """The line's entry, or None for a line that is torn or damaged."""
    crc, blank, payload = line.partition(b" ")
    if not blank or not payload.endswith(b"\n") or crc != b"%08x" % google_crc32c.value(payload[:-1]):
        return None
    row = json.loads(payload)
    return _KINDS[row.pop("kind")](**row)
