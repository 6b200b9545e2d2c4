"""Bring a corpus into its signal store: plan, convert in workers, commit in plan order."""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

import eegfm.corpora
import eegfm.signal
from eegfm.errors import EegfmError
from eegfm.jobs.config import IngestParams
from eegfm.jobs.convert import NOT_READABLE, Converted, Task, convert
from eegfm.recording import person_id
from eegfm.signal.config import SignalParams
from eegfm.store.index import RejectedEntry
from eegfm.store.layout import SAMPLE_DTYPE, StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter

_log = logging.getLogger(__name__)

_FILES_PER_WORKER = 16
"""Below this many files a worker process costs more to start than it saves."""


@dataclass(frozen=True)
class Ingested:
    """A corpus in the store, and its tables."""

    store: SignalStore
    recordings: pd.DataFrame
    events: pd.DataFrame
    rejected: pd.DataFrame


def ingest(
    raw_files: pd.DataFrame,
    root: Path,
    params: IngestParams,
    signal: SignalParams,
    folder: Path,
    *,
    simulated: bool,
) -> Ingested:
    """Bring a corpus into its store. What is there and unchanged is skipped, what is gone drops out.

    Args:
        raw_files: One row per raw file.
        root: The raw folder.
        params: Layout and workers.
        signal: Rate and filters of the store.
        folder: The store.
        simulated: Whether the recordings are simulated; stands in the store and in every row.

    Raises:
        EegfmError: More files are rejected than ``max_rejected_ratio`` allows; what got in stays in.
    """
    with StoreWriter(folder, _facts(params, signal, simulated)) as writer:
        plan = _plan(raw_files, root, params, signal, writer)
        _log.info("%s: %d files, %d to convert", raw_files["corpus"].iloc[0], len(raw_files), len(plan))
        gone = sorted(set(writer.keys) - set(raw_files["recording_id"]))
        if gone:
            _log.warning("%d recordings drop out: their raw files are gone, e.g. %s", len(gone), gone[0])
        for recording_id in gone:
            writer.remove(recording_id)
        # Drawn on a terminal only, and only where there is something to wait for.
        for result in tqdm(
            _converted(plan, params), "Ingesting", len(plan), unit="file", disable=None if plan else True
        ):
            _commit(writer, result)
    store = SignalStore(folder)
    out = Ingested(store, recordings_table(store), events_table(store), rejected_table(store))
    _check_rejected(out, len(raw_files), params, signal.rate_hz)
    return out


def _facts(params: IngestParams, signal: SignalParams, simulated: bool) -> StoreFacts:
    """What the whole store rests on; where any of it changes, every recording is stale."""
    made_by = f"{params.corpus.model_dump_json()}{signal.model_dump_json()}{code_version()}"
    filters = {"low_hz": signal.low_hz, "high_hz": signal.high_hz, "notch_hz": signal.notch_hz}
    return StoreFacts(signal.rate_hz, simulated, filters, hashlib.sha256(made_by.encode()).hexdigest())


def _plan(
    raw_files: pd.DataFrame, root: Path, params: IngestParams, signal: SignalParams, writer: StoreWriter
) -> list[Task]:
    known = {i: key for i, key in writer.keys.items() if writer.rejection_codes.get(i) != NOT_READABLE}
    tasks = []
    for row in raw_files.to_dict("records"):
        key = _key(row)
        if known.get(str(row["recording_id"])) != key:
            named = {str(k): v for k, v in row.items()}
            tasks.append(Task(root, named, key, params.corpus, signal, writer.spool))
    return tasks


def _key(row: Mapping[Any, Any]) -> str:
    """Identity of one recording inside its store: the file, and what its row says."""
    return hashlib.sha256(repr(sorted((str(k), str(v)) for k, v in row.items())).encode()).hexdigest()


@cache
def code_version() -> str:
    """Hash of the code that reads and filters, and of the libraries under it."""
    sha = hashlib.sha256()
    packages = (eegfm.signal.__path__[0], eegfm.corpora.__path__[0])
    for path in sorted(p for folder in packages for p in Path(folder).glob("*.py")):
        sha.update(path.read_bytes())
    sha.update((Path(__file__).with_name("convert.py")).read_bytes())
    for name in ("numpy", "scipy", "mne"):
        sha.update(f"{name}=={version(name)}".encode())
    return sha.hexdigest()


def _converted(plan: list[Task], params: IngestParams) -> Iterator[Converted | RejectedEntry]:
    """Results in plan order, so that the store's bytes do not depend on the number of workers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    n_workers = params.n_workers if params.n_workers != "auto" else min(cores, len(plan) // _FILES_PER_WORKER)
    if n_workers <= 1:
        yield from map(convert, plan)
        return
    pool = joblib.Parallel(n_jobs=n_workers, return_as="generator", pre_dispatch=2 * n_workers)
    yield from pool(joblib.delayed(convert)(task) for task in plan)


def _commit(writer: StoreWriter, result: Converted | RejectedEntry) -> None:
    if isinstance(result, RejectedEntry):
        writer.reject(result)
        return
    writer.commit(
        recording_id=result.recording_id,
        key=result.key,
        montage=result.montage,
        samples=_mapped(result),
        scales_uv=result.scales_uv,
        facts=result.facts,
        events=result.events,
    )
    result.samples_path.unlink()


def _mapped(result: Converted) -> NDArray[np.int16]:
    shape = (result.facts["n_samples"], result.montage.n_channels)
    return np.memmap(result.samples_path, dtype=SAMPLE_DTYPE, mode="r", shape=shape)


def recordings_table(store: SignalStore) -> pd.DataFrame:
    """One row per recording in the store, in id order."""
    table = pd.DataFrame([e.facts for e in sorted(store.entries, key=lambda e: e.recording_id)])
    if table.empty:
        return table
    table["person"] = [person_id(c, s) for c, s in zip(table["corpus"], table["subject"], strict=True)]
    table["simulated"] = store.is_simulated
    for name in ("age_years", "p_factor", "attention", "internalizing", "externalizing"):
        if name in table:
            table[name] = table[name].astype("float64")
    return table.drop(columns=["n_bytes", "mtime_ns", "sidecars"])


def events_table(store: SignalStore) -> pd.DataFrame:
    """One row per event, in order of recording and onset; columns that a corpus lacks are absent."""
    rows = [{"recording_id": e.recording_id, **event} for e in store.entries for event in e.events]
    first = ["recording_id", "onset_s", "duration_s", "value"]
    table = pd.DataFrame(rows, columns=None if rows else first)
    table = table[first + [c for c in table.columns if c not in first]]
    text = {c: "str" for c in table.columns if c not in ("onset_s", "duration_s")}
    table = table.astype({"onset_s": "float64", "duration_s": "float64", **text})
    return table.sort_values(["recording_id", "onset_s"], kind="stable", ignore_index=True)


def rejected_table(store: SignalStore) -> pd.DataFrame:
    """One row per file that did not get in."""
    columns = ["path", "stage", "code", "reason", "remedy"]
    rows = [{c: getattr(e, c) for c in columns} for e in store.rejected]
    return pd.DataFrame(rows, columns=columns, dtype="str").sort_values("path", ignore_index=True)


def count_flags(recordings: pd.DataFrame) -> str:
    """How many recordings carry each flag, e.g. ``flat:Cz 60``; ``none`` where there are none."""
    if recordings.empty:
        return "none"
    counts = recordings["flags"].explode().dropna().value_counts(sort=False).sort_index()
    return ", ".join(f"{flag} {n}" for flag, n in counts.items()) or "none"


def _check_rejected(out: Ingested, n_seen: int, params: IngestParams, rate_hz: float) -> None:
    n_in, n_rejected = len(out.recordings), len(out.rejected)
    assert n_in + n_rejected == n_seen, "every file seen is in or rejected"
    hours = out.recordings["n_samples"].sum() / rate_hz / 3600 if n_in else 0.0
    _log.info(
        "files seen %d = in %d (flags: %s) + rejected %d; %.2f hours of EEG",
        n_seen, n_in, count_flags(out.recordings), n_rejected, hours,
    )  # fmt: skip
    if n_rejected > params.max_rejected_ratio * n_seen or not n_in:
        counts = out.rejected["code"].value_counts()
        codes = ", ".join(f"{code} {n}" for code, n in counts.items())
        first = out.rejected.iloc[0]
        _log.error("Rejected files:\n%s", out.rejected.to_string(max_rows=100))
        raise EegfmError(
            f"{n_rejected} of {n_seen} files were rejected ({codes}), ingest.max_rejected_ratio allows "
            f"{params.max_rejected_ratio:.0%}; first: {first['path']}: {first['reason']}; {first['remedy']}"
        )
