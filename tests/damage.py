"""Damage to a signal store, as a disk does it."""

from pathlib import Path

from eegfm.store.layout import shard_path
from eegfm.store.reader import SignalStore


def overwrite(folder: Path, recording_id: str, first_row: int, n_rows: int) -> None:
    """Turn every byte of some rows of a recording into another."""
    (entry,) = (e for e in SignalStore(folder).entries if e.recording_id == recording_id)
    row_bytes = 2 * len(entry.scales_uv)
    first = (entry.first_row + first_row) * row_bytes
    with shard_path(folder, entry.montage, entry.shard).open("r+b") as file:
        file.seek(first)
        data = bytes(byte ^ 0x5A for byte in file.read(n_rows * row_bytes))
        file.seek(first)
        file.write(data)
