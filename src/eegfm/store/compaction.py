"""Compact a store: remove the bytes of replaced and removed recordings."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from eegfm.errors import StoreError
from eegfm.files import write_atomically
from eegfm.store.addresses import drop_addresses
from eegfm.store.damage import is_intact, remedy
from eegfm.store.index import INDEX_FILE, Entry, RecordingEntry, read_index, to_line
from eegfm.store.layout import SAMPLE_DTYPE, read_montage, shard_path
from eegfm.store.shards import Shards

_log = logging.getLogger(__name__)

MAX_DEAD_RATIO = 0.2


def compact(folder: Path, shards: Shards, n_live: int) -> None:
    """Move recordings to new shards, where dead bytes are over a fifth of all.

    The new index takes the place of the old one in one step, and only then are the old shards deleted. A kill in
    between leaves files that nothing points at.

    Args:
        folder: The store's folder, which the caller has locked.
        shards: Its shards.
        n_live: Bytes of the recordings that are in the store.

    Raises:
        StoreError: A recording is damaged.
    """
    n_stored = sum(path.stat().st_size for path in shards.files())
    if n_stored - n_live <= MAX_DEAD_RATIO * n_stored:
        return
    if shutil.disk_usage(folder).free < n_live:
        _log.warning("%s: %.1f MB stay dead: no room to move %.1f MB", folder, (n_stored - n_live) / 1e6, n_live / 1e6)
        return
    _log.info("%s: giving back %.1f MB of %.1f MB", folder, (n_stored - n_live) / 1e6, n_stored / 1e6)
    shards.begin_new()
    lines = [to_line(_moved(folder, shards, entry)) for entry in read_index(folder).values()]
    drop_addresses(folder)
    write_atomically(folder / INDEX_FILE, b"".join(lines))
    shards.delete_unknown()


def _moved(folder: Path, shards: Shards, entry: Entry) -> Entry:
    """Copy the samples of a recording to the new shards."""
    if not isinstance(entry, RecordingEntry):
        return entry
    montage = read_montage(folder, entry.montage)
    samples = np.memmap(
        shard_path(folder, entry.montage, entry.shard),
        dtype=SAMPLE_DTYPE,
        mode="r",
        offset=entry.first_row * SAMPLE_DTYPE.itemsize * montage.n_channels,
        shape=(entry.n_samples, montage.n_channels),
    )
    if not is_intact(folder, entry):
        what = f"{folder}: recording {entry.recording_id} is damaged and is not moved to another shard"
        raise StoreError(f"{what}; {remedy(folder, [entry.recording_id])}")
    shard, first_row = shards.append(montage, samples)
    return replace(entry, shard=shard, first_row=first_row)
