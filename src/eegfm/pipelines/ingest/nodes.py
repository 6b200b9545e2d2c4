"""Nodes from raw files to the signal store. The workspace folder is named after its corpus."""

from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.corpora.config import AcquireParams, FolderSource
from eegfm.jobs.config import IngestParams
from eegfm.signal.config import SignalParams


def acquire_raw_files(params: AcquireParams, raw_folder: Path, workspace: Path) -> Path:
    """Make the raw files present."""
    from eegfm.jobs.acquire import acquire

    return acquire(params, workspace.name, raw_folder)


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
    from eegfm.jobs.acquire import is_simulated
    from eegfm.jobs.ingest import ingest

    simulated = not isinstance(acquired.source, FolderSource)
    done = ingest(raw_files, raw, params, signal, workspace / "signals", simulated=simulated or is_simulated(raw))
    return {
        "signals": done.store,
        "recordings": done.recordings,
        "events": done.events,
        "rejected": done.rejected,
        "files": done.files,
    }
