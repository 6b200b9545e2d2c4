"""eegmat: rest and arithmetic, on the real recordings."""

from pathlib import Path

import mne
import pytest

from eegfm.corpora.config import EdfFolderCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.eegmat import EegmatTask
from tone_corpus import run_ingest


@pytest.fixture(scope="module")
def ingested(shared_data: Path, tmp_path_factory: pytest.TempPathFactory):
    root, store = tmp_path_factory.mktemp("eegmat"), tmp_path_factory.mktemp("store")
    for name in ("Subject04_1", "Subject04_2", "Subject05_2"):
        (root / f"{name}.edf").symlink_to(shared_data / "eegmat" / f"{name}.edf")
    corpus = EdfFolderCorpus(pattern="Subject{subject}_{run}.edf", reference="linked_ears")
    return run_ingest(root, store, IngestParams(corpus=corpus, rates_hz=[500], workers=WorkerParams(n_workers=1)))


def test_run_1_is_rest_and_run_2_arithmetic(ingested, shared_data: Path) -> None:
    windows, counts = cut_windows(ingested.recordings, ingested.events, WindowParams(cuts={"task": EegmatTask()}))
    per_run = windows.groupby("recording_id")[["label", "n_windows"]].agg({"label": "unique", "n_windows": "sum"})
    seen = {name.removeprefix("tones:"): (list(row.label), row.n_windows) for name, row in per_run.iterrows()}
    expected = {}
    for name, label in (("Subject04_1", "rest"), ("Subject04_2", "arithmetic"), ("Subject05_2", "arithmetic")):
        of = ingested.recordings[ingested.recordings["recording_id"] == f"tones:{name}"].iloc[0]
        spans = list(zip(of["segment_starts"], of["segment_stops"], strict=True))
        raw = mne.io.read_raw_edf(shared_data / "eegmat" / f"{name}.edf", verbose="error")
        recorded_s = raw.n_times / raw.info["sfreq"]
        assert recorded_s - 10 < sum(b - a for a, b in spans) / of["rate_hz"] <= recorded_s
        expected[name] = ([label], sum(int((b - a) / of["rate_hz"]) // 5 for a, b in spans))
    assert seen == expected
    assert counts["task"]["n_recordings_without_label"] == 0
    assert EegmatTask().target_spec.classes == ("rest", "arithmetic")
