"""Small tables as ingest would write them, and tables of real event files with segments of the lengths they state."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from bids_tree import header
from eegfm.corpora.config import HbnCorpus
from eegfm.corpora.hbn import Hbn
from eegfm.recording import person_id
from made_once import made_once


def make_recordings(
    segments: Sequence[Sequence[tuple[int, int]]],
    *,
    persons: Sequence[str] | None = None,
    corpus: str = "c",
    rate_hz: float = 100.0,
    **columns: Sequence[object],
) -> pd.DataFrame:
    n = len(segments)
    names = list(persons) if persons is not None else [f"{corpus}:p{k}" for k in range(n)]
    table = pd.DataFrame(
        {
            "recording_id": [f"{corpus}:r{k:03d}" for k in range(n)],
            "corpus": corpus,
            "person": names,
            "montage": "2ch",
            "bids_task": "RestingState",
            "run": "",
            "rate_hz": rate_hz,
            "n_samples": [max((stop for _, stop in s), default=0) for s in segments],
            "segment_starts": [[a for a, _ in s] for s in segments],
            "segment_stops": [[b for _, b in s] for s in segments],
            "official_split": "",
        }
    )
    return table.assign(**columns)


def make_events(rows: Sequence[tuple[str, float, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["recording_id", "onset_s", "value"])


@pytest.fixture
def recordings() -> Callable[..., pd.DataFrame]:
    return make_recordings


@pytest.fixture
def events() -> Callable[..., pd.DataFrame]:
    return make_events


Tables = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="session")
def release_5(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Recordings and events of HBN's release 5 as ingest writes them: what its side files say, at 100 Hz.

    All 745 runs of contrastChangeDetection, whose lengths stand in the quality tables, and the other tasks of the 20
    mini subjects, whose lengths stand in their JSON.
    """
    root = _real(shared_data) / "ds005509"
    return made_once(tmp_path_factory, "release_5", lambda: _release_5(root))


def _release_5(root: Path) -> Tables:
    recordings, events = _tables(sorted(root.glob("sub-*/eeg/*_events.tsv")), _quality_lengths(root))
    labels = HbnCorpus().build("hbn").labels(root).rows
    return recordings.merge(labels, on="subject", how="left"), events


@pytest.fixture(scope="session")
def quirks(shared_data: Path) -> Tables:
    """Recordings and events of the files with known faults, whatever ingest would say of their signals."""
    return _tables(sorted(_real(shared_data).glob("quirks/*/sub-*/eeg/*_events.tsv")), {})


def _real(shared_data: Path) -> Path:
    root = shared_data / "hbn_meta"
    if not root.is_dir():
        pytest.skip(f"real side files are not here: {root} does not exist")
    return root


def _tables(paths: Sequence[Path], n_at_500: Mapping[tuple[str, str, str], int]) -> Tables:
    corpus: Hbn = HbnCorpus().build("hbn")
    names = (*(f"E{k}" for k in range(1, 129)), "Cz")
    rows, events = [], []
    for path in paths:
        recording = path.with_name(path.name.replace("_events.tsv", "_eeg.set"))
        fields, sidecar = corpus.describe(recording.name), recording.with_suffix(".json")
        n_stated = n_at_500.get((fields["subject"], fields["bids_task"], fields["run"]))
        n = round(json.loads(sidecar.read_text())["RecordingDuration"] * 500) if sidecar.is_file() else n_stated
        head = header(names, rate_hz=100.0, n_samples=n // 5)
        details = corpus.details(recording, head)
        parts = [part for part in head.split_at(details.boundaries_s).segments if part.stop - part.start >= 100]
        facts = {
            "recording_id": f"hbn:{recording.stem}",
            "corpus": "hbn",
            "person": person_id("hbn", fields["subject"]),
            "montage": "129ch-Cz",
            "rate_hz": 100.0,
            "segment_starts": [part.start for part in parts],
            "segment_stops": [part.stop for part in parts],
            "segment_onsets_s": [part.onset_s for part in parts],
        }
        rows.append({**facts, **fields})
        events += [{"recording_id": facts["recording_id"], **event} for event in details.events]
    table = pd.DataFrame(events)
    texts = table.columns.drop(["onset_s", "duration_s"])
    return pd.DataFrame(rows), table.astype(dict.fromkeys(texts, "str"))


def _quality_lengths(root: Path) -> dict[tuple[str, str, str], int]:
    """Samples at 500 Hz by subject, task and run."""
    out = {}
    for run in ("1", "2", "3"):
        with (root / "code" / f"contrastChangeDetection_{run}_quality_table.tsv").open(newline="") as file:
            for row in csv.DictReader(file):
                if row["data_pnts"].isdigit():
                    out[row["Row"], "contrastChangeDetection", run] = int(row["data_pnts"])
    return out
