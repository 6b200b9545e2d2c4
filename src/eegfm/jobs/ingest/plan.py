"""Plan which recordings are converted: those that are new or changed, by time first and by content then."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import Task
from eegfm.jobs.ingest.same_content import comparable, unchanged
from eegfm.jobs.ingest.staleness import file_key, fresh_keys
from eegfm.signal.config import SignalParams
from eegfm.store.writer import StoreWriter

_log = logging.getLogger(__name__)

LOG_EVERY_S = 60.0


def planned(
    wanted: pd.DataFrame,
    root: Path,
    params: IngestParams,
    signal: SignalParams,
    writer: StoreWriter,
    readers: Mapping[str, str],
) -> list[Task]:
    """Recordings whose files are not those of the stored ones, by size and time, in the order of the table.

    Args:
        wanted: Rows of the files that are not excluded.
        root: The raw folder.
        params: Layout and reading.
        signal: Rate and filters.
        writer: The open store.
        readers: Present versions of the readers.
    """
    fresh = fresh_keys(writer, root, readers)
    contents, named, keys = comparable(writer, readers), writer.named_files, writer.keys
    tasks = []
    for row in wanted.to_dict("records"):
        task = Task(root, {str(k): v for k, v in row.items()}, file_key(row), params, signal, writer.spool)
        i = str(row["recording_id"])
        if fresh.get(i) in (task.key, task.limited_key):
            continue
        if i in contents:
            task = replace(task, stored_content=contents[i], stored_named=tuple(named.get(i, ())), stored_key=keys[i])
        # What other limits rejected is tried again with the present ones.
        is_limited_otherwise = task.same_key not in (task.key, task.limited_key)
        tasks.append(replace(task, stored_content="") if is_limited_otherwise else task)
    return tasks


def without_unchanged(plan: Sequence[Task], writer: StoreWriter, corpus: str) -> list[Task]:
    """The plan without recordings whose files have another time and the same contents: they get their new key."""
    n_known = sum(task.stored_content != "" for task in plan)
    if not n_known:
        return list(plan)
    _log.info("%s: the files of %d known recordings have another time or size; comparing contents", corpus, n_known)
    same, logged_s = set[str](), time.monotonic()
    for task in unchanged(plan):
        writer.touch(task.row["recording_id"], task.same_key, task.named_versions() if task.stored_named else {})
        same.add(task.key)
        if time.monotonic() - logged_s > LOG_EVERY_S:
            logged_s = time.monotonic()
            _log.info("%s: %d of %d compared recordings are unchanged so far", corpus, len(same), n_known)
    if same:
        _log.info("%s: %d recordings have the contents that they had, and are not converted again", corpus, len(same))
    return [task for task in plan if task.key not in same]
