"""Fixtures of the tests of ingestion."""

import pytest

import eegfm.jobs.ingest.workers as workers
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.store.index import RejectedEntry


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the files that are converted from now on, in order."""
    seen: list[str] = []

    def watched(task: Task) -> Converted | RejectedEntry:
        seen.append(task.row["path"])
        return convert(task)

    monkeypatch.setattr(workers, "convert", watched)
    return seen
