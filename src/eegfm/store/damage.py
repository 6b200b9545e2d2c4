"""Find, report and repair damaged samples in a store.

A process that finds damage leaves a mark in the store's folder. The next writer finds the mark, reads the whole store,
because a disk that lost one block may have lost others, and drops every damaged recording. Ingestion then converts
these recordings again.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from eegfm.errors import StoreError
from eegfm.store.checksums import BlockChecksums
from eegfm.store.index import RecordingEntry, read_index
from eegfm.store.layout import BLOCK_ROWS, SAMPLE_DTYPE, shard_path

_log = logging.getLogger(__name__)

MARK_FILE = "damaged.txt"
_N_NAMED = 5
_READ_BYTES = 1 << 20


def is_intact(folder: Path, entry: RecordingEntry) -> bool:
    """True if the samples of a recording exist and match their checksums.

    This uses plain reads, not the mapping. A sector that the disk cannot read then counts as damage and does not end
    this process.
    """
    n_channels = len(entry.scales_uv)
    row_bytes = n_channels * SAMPLE_DTYPE.itemsize
    n_most = max(_READ_BYTES // row_bytes, 1)
    checksums, n_left = BlockChecksums(), entry.n_samples
    try:
        with shard_path(folder, entry.montage, entry.shard).open("rb", buffering=0) as file:
            file.seek(entry.first_row * row_bytes)
            while n_left:
                values = np.fromfile(file, dtype=SAMPLE_DTYPE, count=min(n_left, n_most) * n_channels)
                if values.size != min(n_left, n_most) * n_channels:
                    return False
                checksums.add(values.reshape(-1, n_channels))
                n_left -= values.size // n_channels
    except OSError:
        return False
    return checksums.result() == entry.block_crc32c


def damaged_recordings(folder: Path) -> list[str]:
    """Read the whole store, and return the ids of damaged recordings in order of commit."""
    _log.warning("%s is damaged: all of its samples are read and compared with their checksums", folder)
    entries = [entry for entry in read_index(folder).values() if isinstance(entry, RecordingEntry)]
    bar = tqdm(entries, "Verifying recordings", unit="recording", disable=None)
    damaged = [entry.recording_id for entry in bar if not is_intact(folder, entry)]
    _log.warning("%s: %d of %d recordings are damaged and drop out: %s", folder, len(damaged), len(entries), damaged)
    return damaged


def damage_error(folder: Path, recording_ids: Iterable[str], n_damaged: int, n_read: int) -> StoreError:
    """Leave the mark, and return an error that names the damage and the repair.

    Args:
        folder: The store.
        recording_ids: Recordings with damaged blocks.
        n_damaged: Number of damaged blocks.
        n_read: Number of blocks that were compared.
    """
    ids = list(dict.fromkeys(recording_ids))
    named = ", ".join(ids[:_N_NAMED]) + (f" and {len(ids) - _N_NAMED} more" if len(ids) > _N_NAMED else "")
    found = (
        f"{folder}: {n_damaged} of {n_read} blocks of {BLOCK_ROWS} samples differ from their checksums, "
        f"in {'recordings' if len(ids) > 1 else 'recording'} {named}"
    )
    return StoreError(f"{found}; {remedy(folder, ids)}")


def remedy(folder: Path, recording_ids: Sequence[str]) -> str:
    """Leave the mark, and name the command that converts damaged recordings again."""
    command = "kedro run --pipelines=ingest"
    what = "reads the whole store and converts damaged recordings again"
    try:
        with (folder / MARK_FILE).open("a", encoding="utf-8") as file:
            file.writelines(f"{recording_id}\n" for recording_id in recording_ids)
    except OSError as error:
        return (
            f"the store cannot be marked ({error.strerror}): make the file {folder / MARK_FILE}, then run: {command}, "
            f"which {what}"
        )
    return f"mend it with: {command}, which {what}"


def is_marked(folder: Path) -> bool:
    """True if damage was found since the store was last read whole."""
    return (folder / MARK_FILE).exists()


def remove_mark(folder: Path) -> None:
    """Remove the mark after the repair."""
    (folder / MARK_FILE).unlink(missing_ok=True)


def restore_length(path: Path, n_bytes: int) -> None:
    """Extend a shard to the length in the index. The extension is a hole without recordings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab"):
        pass
    if path.stat().st_size < n_bytes:
        os.truncate(path, n_bytes)
