"""Bring a corpus into its signal store: plan, convert in workers, commit in plan order, report every file."""

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from eegfm.corpora.bids_positions import other_units
from eegfm.errors import EegfmError, StoreError
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import Converted
from eegfm.jobs.ingest.copies import find_copies
from eegfm.jobs.ingest.copies_known import compare_copies
from eegfm.jobs.ingest.describe import read_described
from eegfm.jobs.ingest.drops import refuse_drops, refuse_replaced
from eegfm.jobs.ingest.plan import planned, without_unchanged
from eegfm.jobs.ingest.rate_ahead import refuse_rate_above_stored
from eegfm.jobs.ingest.staleness import reader_codes, store_facts
from eegfm.jobs.ingest.stored_rate import refuse_all_upsampled
from eegfm.jobs.ingest.tables import (
    COPY_OF,
    events_table,
    file_outcomes_table,
    ingest_summary,
    recordings_table,
    rejected_table,
)
from eegfm.jobs.ingest.unused_options import unused_options
from eegfm.jobs.ingest.upsampled_log import said_if_upsampled
from eegfm.jobs.ingest.workers import Result, converted
from eegfm.printable import one_line
from eegfm.signal.config import SignalParams
from eegfm.store.damage import is_marked
from eegfm.store.index import RejectedEntry
from eegfm.store.layout import SAMPLE_DTYPE
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter

_log = logging.getLogger(__name__)

LOG_EVERY_S = 60.0
LOGGED_REJECTIONS = 20


@dataclass(frozen=True)
class Ingested:
    """A corpus in the store, with its tables."""

    store: SignalStore
    recordings: pd.DataFrame
    events: pd.DataFrame
    rejected: pd.DataFrame
    file_outcomes: pd.DataFrame


def ingest(
    raw_files: pd.DataFrame,
    root: Path,
    params: IngestParams,
    signal: SignalParams,
    folder: Path,
    *,
    simulated: bool,
) -> Ingested:
    """Bring a corpus into its store. Unchanged recordings are skipped, missing ones are removed.

    If samples that are read on the way are damaged, their recordings are converted again at once.

    Args:
        raw_files: One row per raw file.
        root: The raw folder.
        params: Layout and workers.
        signal: Rate and filters of the store.
        folder: The store.
        simulated: Whether the recordings are simulated. The store and every row say so.

    Raises:
        StoreError: Another process writes to the store, its disk is full, or newly written samples are damaged.
    """
    store_recordings = partial(_store, raw_files, root, params, signal, folder, simulated=simulated)
    out = None
    try:
        out = _tables(store_recordings(), raw_files, params)
    except StoreError as error:
        if not is_marked(folder):
            raise
        _log.warning("%s; this run does it now", error)
    if out is None or is_marked(folder):  # damage near the samples that were read leaves a mark and raises no error
        out = _tables(store_recordings(), raw_files, params)
    corpus_name = str(raw_files["corpus"].iloc[0])
    _log_accounts(out, corpus_name)
    for warning in unused_options(out.store, out.recordings, params.reading, corpus_name):
        _log.warning("%s", warning)
    return out


def _store(
    raw_files: pd.DataFrame,
    root: Path,
    params: IngestParams,
    signal: SignalParams,
    folder: Path,
    *,
    simulated: bool,
) -> SignalStore:
    """Convert the recordings that the store lacks. A damaged store drops its damaged recordings first."""
    corpus = raw_files["corpus"].iloc[0]
    wanted = raw_files[raw_files["excluded"] == ""]
    facts = store_facts(params, signal, simulated=simulated, root=root)

    if not params.accept_upsampled:
        refuse_rate_above_stored(folder, signal, wanted["recording_id"].tolist(), str(corpus))
    asks = not (simulated or params.drop_missing)  # the simulator writes its folder itself, as its parameters say
    made_from = ""

    def before(stored: Collection[str], raw_folder: str) -> None:
        nonlocal made_from
        made_from = raw_folder
        if asks:
            refuse_drops(stored, raw_folder, raw_files, root)

    with StoreWriter(folder, facts, before=before) as writer:
        readers = reader_codes()
        plan = without_unchanged(planned(wanted, root, params, signal, writer, readers), writer, str(corpus))
        if asks:
            stored = writer.keys.keys() - writer.rejection_codes.keys()
            replaced = [task.row["recording_id"] for task in plan if task.stored_content]
            refuse_replaced([i for i in replaced if i in stored], len(stored), made_from, root, str(corpus))
        _log.info("%s: %d files, %d to convert", corpus, len(raw_files), len(plan))
        gone = sorted(set(writer.keys) - set(wanted["recording_id"]))
        if gone:
            _log.warning(
                "%s: %d recordings drop out: their raw files are gone or excluded, e.g. %s", corpus, len(gone), gone[0]
            )
        for recording_id in gone:
            writer.remove(recording_id)
        # Closing ends the workers if this block fails or is told to stop.
        with closing(converted(plan, params.workers)) as results:
            for result in said_if_upsampled(_watched(results, len(plan), corpus), signal):
                _commit(writer, result, readers)
        writer.compact()
    return SignalStore(folder)


def _tables(store: SignalStore, raw_files: pd.DataFrame, params: IngestParams) -> Ingested:
    """Make the tables of a store. Samples are read to find copies and to describe the corpus."""
    patterns = params.reading.bad_annotations
    copies = find_copies(store, raw_files, patterns)
    kept = compare_copies(store, raw_files, copies, patterns)
    recordings, rejected = recordings_table(store, raw_files, copies, kept), rejected_table(store)
    read_described(store, recordings)
    file_outcomes = file_outcomes_table(raw_files, recordings, store.rejected, copies)
    return Ingested(store, recordings, events_table(store, copies), rejected, file_outcomes)


def _watched(results: Iterable[Result], n_tasks: int, corpus: str) -> Iterator[Result]:
    """Show the progress: a bar on a terminal, else one line per minute."""
    hours, started_s = 0.0, time.monotonic()
    logged_s = started_s
    bar = tqdm(results, f"Ingesting {corpus}", n_tasks, unit="recording", disable=None if n_tasks else True)
    for number, result in enumerate(bar, start=1):
        yield result
        hours += result.hours if isinstance(result, Converted) else 0.0
        now_s = time.monotonic()
        pace = hours * 60 / max(now_s - started_s, 1e-9)
        bar.set_postfix_str(f"{hours:.1f} h of EEG, {pace:.1f} h/min", refresh=False)
        if bar.disable and now_s - logged_s > LOG_EVERY_S:
            logged_s = now_s
            _log.info("%s: %d of %d files, %.1f h of EEG, %.1f h/min", corpus, number, n_tasks, hours, pace)


def _commit(writer: StoreWriter, result: Result, readers: Mapping[str, str]) -> None:
    if isinstance(result, RejectedEntry):
        # Any reader may have rejected the file or a part of its recording, so all readers count.
        writer.reject(replace(result, readers=dict(readers)))
        return
    writer.commit(
        recording_id=result.recording_id,
        key=result.key,
        montage=result.montage,
        samples=_mapped(result),
        scales_uv=result.scales_uv,
        block_crc32c=result.block_crc32c,
        bad_channels=result.bad_channels,
        facts=result.facts,
        events=result.events,
        named=result.named,
        readers={name: readers[name] for name in result.formats},
        content=result.content,
    )
    result.samples_path.unlink()


def _mapped(result: Converted) -> NDArray[np.int16]:
    shape = (result.facts["n_samples"], result.montage.n_channels)
    return np.memmap(result.samples_path, dtype=SAMPLE_DTYPE, mode="r", shape=shape)


def _log_accounts(out: Ingested, corpus: str) -> None:
    """Print the counts of outcomes, and the first rejected files."""
    counts = ingest_summary(out.file_outcomes, out.recordings)
    _log.info("%s: what became of %d files\n%s", corpus, len(out.file_outcomes), counts.to_string(index=False))
    flags = out.recordings["flags"] if len(out.recordings) else ()
    units = Counter(advice for own in flags if (advice := other_units(own)))
    for advice, n in units.items():
        _log.warning("%s: %d recordings: %s", corpus, n, advice)
    copies = out.file_outcomes[out.file_outcomes["why"].str.startswith(COPY_OF)]
    if len(copies):
        lines = [one_line(f"{row['path']}: {row['why']}") for row in copies.head(LOGGED_REJECTIONS).to_dict("records")]
        _log.warning("%s: %d recordings are there twice\n%s", corpus, len(copies), "\n".join(lines))
    if len(out.rejected):
        first = out.rejected.head(LOGGED_REJECTIONS)
        lines = [one_line(f"{row['code']}: {_named(row)}; {row['remedy']}") for row in first.to_dict("records")]
        _log.warning("%s.rejected has %d rows\n%s", corpus, len(out.rejected), "\n".join(lines))


def check_accounts(
    file_outcomes: pd.DataFrame,
    recordings: pd.DataFrame,
    rejected: pd.DataFrame,
    corpus: str,
    max_rejected_ratio: float,
    *,
    accept_upsampled: bool = False,
) -> None:
    """Stop if too many files were rejected, or if the stored rate lies above that of every recording.

    Raises:
        EegfmError: More than ``max_rejected_ratio`` of the files that were not excluded are rejected, no recording is
            in the store, or all recordings have lower rates than the store and ``accept_upsampled`` is not set.
    """
    n_tried = int((file_outcomes["outcome"] != "excluded").sum())
    if not n_tried:
        first = file_outcomes.iloc[0]
        raise EegfmError(
            f"{corpus}: all {len(file_outcomes)} files are excluded; first: {first['path']}: {first['why']}"
        )
    if len(rejected) <= max_rejected_ratio * n_tried and len(recordings):
        if not accept_upsampled:
            refuse_all_upsampled(recordings, corpus)
        return
    codes = ", ".join(f"{code} {n}" for code, n in rejected["code"].value_counts().items())
    first = rejected.iloc[0]
    limit = f"{corpus}.ingest.max_rejected_ratio allows {max_rejected_ratio:.0%}" if len(recordings) else "none got in"
    raise EegfmError(
        f"{len(rejected)} of {n_tried} files were rejected ({codes}), {limit}; all are listed in {corpus}.rejected; "
        f"first: {_named(first.to_dict())}; {first['remedy']}"
    )


def _named(row: Mapping[Any, Any]) -> str:
    """Path and reason; many reasons start with the name of the file."""
    path, reason = str(row["path"]), str(row["reason"])
    return reason if reason.startswith(path) else f"{path}: {reason.removeprefix(path.rsplit('/', 1)[-1] + ': ')}"
