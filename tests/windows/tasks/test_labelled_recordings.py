"""Presets of recordings with one label: TUAB, TUEP, eegmat and eegmmidb at rest."""

from pathlib import Path

import mne
import pytest

from eegfm.corpora.config import EdfFolderCorpus
from eegfm.errors import ConfigError
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import SampleGrid
from eegfm.windows.tasks.labelled_recordings import EegmatTask, EegmmidbRestTask, TuabTask, TuepTask
from tone_corpus import run_ingest
from tuh_tables import events_table, recordings_table

GRID = SampleGrid(10.0, "x")


def test_windows_of_tuab_carry_the_class_of_their_recording() -> None:
    segments = [[(0, 250)], [(0, 199), (200, 400)], [(0, 500)], [(0, 90)]]
    recordings = recordings_table(segments, pathology=["abnormal", "normal", "", "normal"])
    runs = TuabTask().find(recordings, events_table([]), GRID)
    assert list(zip(runs.recording, runs.start, runs.windows_per_run, runs.label, strict=True)) == [
        (0, 0, 2, "abnormal"),
        (1, 0, 1, "normal"),
        (1, 200, 2, "normal"),
    ]
    assert (runs.n_samples, runs.stride) == (100, 100)
    assert runs.counted == {"n_recordings_without_label": 1, "n_recordings_without_window": 1}
    assert TuabTask().target_spec == ("binary", ("normal", "abnormal"), (), "")
    assert TuabTask(stride_s=5).find(recordings, events_table([]), GRID).stride == 50


def test_a_corpus_without_the_column_is_told() -> None:
    with pytest.raises(ConfigError, match="cut 'x': recordings have no column 'pathology'"):
        TuabTask().find(recordings_table([[(0, 500)]]), events_table([]), GRID)


def test_windows_of_tuep_carry_the_diagnosis() -> None:
    recordings = recordings_table([[(0, 250)], [(0, 199)], [(0, 500)]], epilepsy=["epilepsy", "no_epilepsy", ""])
    runs = TuepTask().find(recordings, events_table([]), GRID)
    assert list(zip(runs.recording, runs.windows_per_run, runs.label, strict=True)) == [
        (0, 2, "epilepsy"),
        (1, 1, "no_epilepsy"),
    ]
    assert runs.counted == {
        "n_persons_of_both_classes": 0,
        "n_recordings_without_label": 1,
        "n_recordings_without_window": 0,
    }
    assert TuepTask().target_spec.classes == ("no_epilepsy", "epilepsy")


def test_a_person_with_two_diagnoses_is_counted() -> None:
    recordings = recordings_table([[(0, 250)]] * 3, epilepsy=["epilepsy", "no_epilepsy", ""], person="tuh:p0")
    assert TuepTask().find(recordings, events_table([]), GRID).counted["n_persons_of_both_classes"] == 1


@pytest.mark.parametrize("spelling", ["{}", "0{}", "R0{}"])
def test_run_1_of_eegmmidb_is_with_eyes_open_and_run_2_with_eyes_closed(spelling: str) -> None:
    recordings = recordings_table([[(0, 50)]] * 3).assign(run=[spelling.format(n) for n in (2, 1, 3)])
    runs = EegmmidbRestTask().find(recordings, events_table([]), GRID)
    assert list(zip(runs.recording, runs.windows_per_run, runs.label, strict=True)) == [
        (0, 2, "closed"),
        (1, 2, "open"),
    ]
    assert runs.counted["n_recordings_without_label"] == 1
    assert EegmmidbRestTask().target_spec == ("binary", ("open", "closed"), (), "")


@pytest.fixture(scope="module")
def ingested(shared_data: Path, tmp_path_factory: pytest.TempPathFactory):
    root, store = tmp_path_factory.mktemp("eegmat"), tmp_path_factory.mktemp("store")
    for name in ("Subject04_1", "Subject04_2", "Subject05_2"):
        (root / f"{name}.edf").symlink_to(shared_data / "eegmat" / f"{name}.edf")
    corpus = EdfFolderCorpus(pattern="Subject{subject}_{run}.edf", reference="linked_ears")
    return run_ingest(root, store, IngestParams(corpus=corpus, rates_hz=[500], workers=WorkerParams(n_workers=1)))


def test_run_1_of_eegmat_is_rest_and_run_2_arithmetic(ingested, shared_data: Path) -> None:
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
