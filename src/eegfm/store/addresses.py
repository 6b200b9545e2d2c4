"""Addresses of recordings in the store as columns, in a file that opens at once.

The index has one JSON line per recording with all facts about it. Reading seventy thousand lines takes seconds. The
writer therefore writes the addresses into an Arrow file beside the index, with one record batch per montage. The file
names the state of the index that it was made from. If this state differs, or the file is damaged or missing, the index
is read instead.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eegfm.files import write_atomically
from eegfm.store.index import INDEX_FILE, Entry, RecordingEntry, TouchedEntry, scan_index
from eegfm.store.layout import n_blocks

ADDRESSES_FILE = "addresses.arrow"
_TAIL_BYTES = 4096
_CRC_BYTES = 4
_STATE, _MONTAGES = b"index", b"montages"


@dataclass(frozen=True)
class Addresses:
    """Recordings of one montage, in order of commit.

    Args:
        recording_ids: (R,) strings.
        shards: (R,) number of the shard.
        first_rows: (R,) first row inside the shard.
        n_samples: (R,) rows.
        scales_uv: (R, C) microvolts per integer step.
        block_crc32c: (K,) CRC-32C of the blocks of all recordings, one recording after the other.
        is_bad: (R, C) True for channels whose signal cannot be trusted.
    """

    recording_ids: pa.Array
    shards: NDArray[np.int32]
    first_rows: NDArray[np.int64]
    n_samples: NDArray[np.int64]
    scales_uv: NDArray[np.float32]
    block_crc32c: NDArray[np.uint32]
    is_bad: NDArray[np.bool_]


def addresses_of(entries: Iterable[Entry]) -> dict[str, Addresses]:
    """Columns by montage, in alphabetical order.

    Args:
        entries: Recordings of the store, each once.
    """
    by_montage: dict[str, list[RecordingEntry]] = {}
    for entry in entries:
        if isinstance(entry, RecordingEntry):
            by_montage.setdefault(entry.montage, []).append(entry)
    return {montage: _columns(by_montage[montage]) for montage in sorted(by_montage)}


def write_addresses(folder: Path) -> None:
    """Write the addresses beside the index, unless they exist already."""
    state = index_state(folder)
    if state is None or _read(folder, state) is not None:
        return
    addresses = addresses_of(_bare_entries(folder))
    batches = {montage: _batch(columns) for montage, columns in addresses.items()}
    metadata = {_STATE: state, _MONTAGES: json.dumps(list(batches)).encode()}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, _SCHEMA.with_metadata(metadata)) as writer:
        for batch in batches.values():
            writer.write_batch(batch)
    data = sink.getvalue().to_pybytes()
    crc = google_crc32c.value(data).to_bytes(_CRC_BYTES, "little")
    write_atomically(folder / ADDRESSES_FILE, data + crc)


def read_addresses(folder: Path) -> dict[str, Addresses] | None:
    """Map the addresses.

    Returns:
        Columns by montage; None if the file does not fit the present index.
    """
    state = index_state(folder)
    return None if state is None else _read(folder, state)


def drop_addresses(folder: Path) -> None:
    """Delete the addresses, before the index is replaced by another."""
    (folder / ADDRESSES_FILE).unlink(missing_ok=True)


_SCHEMA = pa.schema(
    {
        "recording_id": pa.string(),
        "shard": pa.int32(),
        "first_row": pa.int64(),
        "n_samples": pa.int64(),
        "scales_uv": pa.list_(pa.float32()),
        "block_crc32c": pa.list_(pa.uint32()),
        "is_bad": pa.list_(pa.uint8()),  # one byte per channel, so that the file can be mapped without decoding
    }
)


def index_state(folder: Path) -> bytes | None:
    """Size of the index and CRC-32C of its end, which contains the last commit's checksum; None without an index."""
    path = folder / INDEX_FILE
    if not path.exists():
        return None
    with path.open("rb") as file:
        n_bytes = file.seek(0, 2)
        file.seek(max(n_bytes - _TAIL_BYTES, 0))
        return b"%d bytes, end %08x" % (n_bytes, google_crc32c.value(file.read()))


def _read(folder: Path, state: bytes) -> dict[str, Addresses] | None:
    path = folder / ADDRESSES_FILE
    if not path.is_file() or path.stat().st_size <= _CRC_BYTES:
        return None
    with pa.memory_map(str(path)) as file:
        mapped = file.read_buffer()
    data, crc = mapped.slice(0, mapped.size - _CRC_BYTES), mapped.slice(mapped.size - _CRC_BYTES).to_pybytes()
    if google_crc32c.value(np.frombuffer(data, dtype=np.uint8)) != int.from_bytes(crc, "little"):
        return None
    reader = pa.ipc.open_file(data)
    metadata: dict[bytes, bytes] = reader.schema.metadata
    if metadata.get(_STATE) != state or not reader.schema.equals(_SCHEMA):
        return None
    return {montage: _from_batch(reader.get_batch(k)) for k, montage in enumerate(json.loads(metadata[_MONTAGES]))}


def _bare_entries(folder: Path) -> Iterable[Entry]:
    """The last entry of each recording, without facts and events, which take most of the memory."""
    entries: dict[str, Entry] = {}
    for entry, _ in scan_index(folder):
        if isinstance(entry, TouchedEntry):
            continue  # its samples and its place are the same
        entries.pop(entry.recording_id, None)
        if isinstance(entry, RecordingEntry):
            entry.facts.clear()
            entry.events.clear()
            entries[entry.recording_id] = entry
    return entries.values()


def _columns(entries: list[RecordingEntry]) -> Addresses:
    return Addresses(
        recording_ids=pa.array([e.recording_id for e in entries], pa.string()),
        shards=np.array([e.shard for e in entries], dtype=np.int32),
        first_rows=np.array([e.first_row for e in entries], dtype=np.int64),
        n_samples=np.array([e.n_samples for e in entries], dtype=np.int64),
        scales_uv=np.array([e.scales_uv for e in entries], dtype=np.float32),
        block_crc32c=np.array([crc for e in entries for crc in e.block_crc32c], dtype=np.uint32),
        is_bad=np.stack([_is_bad(entry) for entry in entries]),
    )


def _is_bad(entry: RecordingEntry) -> NDArray[np.bool_]:
    is_bad = np.zeros(len(entry.scales_uv), dtype=np.bool_)
    is_bad[entry.bad_channels] = True
    return is_bad


def _batch(columns: Addresses) -> pa.RecordBatch:
    n_recordings, n_channels = columns.scales_uv.shape
    offsets = np.arange(n_recordings + 1, dtype=np.int32) * n_channels
    scales = pa.ListArray.from_arrays(offsets, columns.scales_uv.ravel())
    is_bad = pa.ListArray.from_arrays(offsets, columns.is_bad.ravel().view(np.uint8))
    first_blocks = np.concatenate([[0], n_blocks(columns.n_samples).cumsum()]).astype(np.int32)
    checksums = pa.ListArray.from_arrays(first_blocks, columns.block_crc32c)
    arrays: list[Any] = [
        columns.recording_ids,
        columns.shards,
        columns.first_rows,
        columns.n_samples,
        scales,
        checksums,
        is_bad,
    ]
    return pa.record_batch([pa.array(a) if isinstance(a, np.ndarray) else a for a in arrays], schema=_SCHEMA)


def _from_batch(batch: pa.RecordBatch) -> Addresses:
    shards, first_rows, n_samples = (batch.column(k).to_numpy() for k in (1, 2, 3))
    scales_uv, is_bad = (
        batch.column(name).flatten().to_numpy().reshape(batch.num_rows, -1) for name in ("scales_uv", "is_bad")
    )
    block_crc32c = batch.column("block_crc32c").flatten().to_numpy()
    return Addresses(batch.column(0), shards, first_rows, n_samples, scales_uv, block_crc32c, is_bad.view(np.bool_))
