"""Nodes of the ingest pipeline. The workspace folder is named after its corpus."""

from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.jobs.acquire.config import AcquireParams
from eegfm.jobs.ingest.config import IngestParams
from eegfm.signal.config import SignalParams
from eegfm.store.reader import SignalStore


def acquire_raw_files(params: AcquireParams, ingest: IngestParams, raw_folder: Path, workspace: Path) -> Path:
    """Make the raw files present."""
    from eegfm.jobs.acquire.acquire import acquire

    return acquire(params, workspace.name, raw_folder, ingest.corpus)


def index_raw_files(raw: Path, params: IngestParams, workspace: Path) -> pd.DataFrame:
    """List the raw files without opening one."""
    table: pd.DataFrame = params.corpus.build(workspace.name).index(raw)
    return table


def ingest_recordings(
    raw_files: pd.DataFrame,
    raw: Path,
    acquired: AcquireParams,
    params: IngestParams,
    signal: SignalParams,
    workspace: Path,
) -> dict[str, Any]:
    """Bring the recordings into the signal store; what is there and unchanged is skipped."""
    from eegfm.jobs.acquire.acquire import is_simulated
    from eegfm.jobs.ingest.ingest import ingest

    simulated = acquired.simulates or is_simulated(raw)
    done = ingest(raw_files, raw, params, signal, workspace / "signals", simulated=simulated)
    return {
        "signals": done.store,
        "recordings": done.recordings,
        "events": done.events,
        "rejected": done.rejected,
        "file_outcomes": done.file_outcomes,
    }


def describe_recordings(
    signals: SignalStore,
    recordings: pd.DataFrame,
    rejected: pd.DataFrame,
    file_outcomes: pd.DataFrame,
    params: IngestParams,
    workspace: Path,
) -> dict[str, Any]:
    """Say what the corpus looks like; stop where too many files were rejected, with the tables saved before."""
    from eegfm.jobs.ingest.describe import describe
    from eegfm.jobs.ingest.ingest import check_accounts

    check_accounts(
        *(file_outcomes, recordings, rejected, workspace.name, params.max_rejected_ratio),
        accept_upsampled=params.accept_upsampled,
    )
    found = describe(signals, recordings, file_outcomes, workspace.name)
    return {
        "ingest_summary": found.ingest_summary,
        "montages": found.montages,
        "unknown_channels": found.unknown_channels,
        "spectrum": found.spectrum,
    }
