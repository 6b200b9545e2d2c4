"""All TUH tasks on one folder that holds several of the corpora, from files to windows; and their errors."""

from pathlib import Path

import numpy as np
import pytest

from eegfm.corpora.config import TuhCorpus
from eegfm.errors import ConfigError
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.cutters.base import Cut
from eegfm.windows.runs import SampleGrid, expand
from eegfm.windows.tasks.labelled_recordings import TuabTask, TuepTask
from eegfm.windows.tasks.tuar import TuarTask
from eegfm.windows.tasks.tuev import TuevTask
from eegfm.windows.tasks.tusl import TuslTask
from eegfm.windows.tasks.tusz import TuszTask
from eegfm.windows.tuh import DERIVATIONS
from found_windows import find_windows
from tone_corpus import run_ingest
from tuh_tables import events_table, recordings_table
from tuh_tree import NINETEEN, TCP_NAMES, csv_text, write_recording

FILES = {
    "edf/train/abnormal/01_tcp_ar/aaaaaaab_s001_t000.edf": {},
    "edf/train/aaaaaaar/aaaaaaar_00000001.edf": {".rec": "13,4,5,1\n12,4,5,1\n"},
    "edf/01_tcp_ar/aaaaaaac_s001_t000.edf": {".csv": csv_text(["T4-A2,0,2,eyem_musc,1", "FP1-F7,16,99,elec,1"])},
    "edf/03_tcp_ar_a/aaaaaaad_s001_t000.edf": {".csv": csv_text(["FP1-F7,1,3,chew,1"])},
    "edf/dev/aaaaaaaj/s001_2003/01_tcp_ar/aaaaaaaj_s001_t000.edf": {
        ".csv": csv_text(["FP1-F7,2,12,cpsz,1", "F7-T3,4,13,cpsz,1", "FP1-F7,0,2,bckg,1"]),
        ".csv_bi": csv_text(["TERM,0,2,bckg,1", "TERM,2,8,seiz,1", "TERM,8,20,bckg,1"]),
    },
    "edf/aaaaaaak/s001_2003/01_tcp_ar/aaaaaaak_s001_t000.edf": {".csv": csv_text(["TERM,5,15,slow,1"])},
    "00_epilepsy/aaaaaaal/s001_2003/01_tcp_ar/aaaaaaal_s001_t001.edf": {},
}


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("tuh")
    for path, annotations in FILES.items():
        electrodes = NINETEEN if "_ar_a" in path else [*NINETEEN, "A1", "A2"]
        file = write_recording(root, path, electrodes=electrodes)
        for suffix, text in annotations.items():
            file.with_suffix(suffix).write_text(text)
    params = IngestParams(corpus=TuhCorpus(), workers=WorkerParams(n_workers=1))
    return run_ingest(root, Path(tmp_path_factory.mktemp("store")), params)


def cut(ingested, task: Cut) -> list[tuple[str, float, str]]:
    """Subject, start in seconds and label of each window."""
    windows, _ = find_windows(task, ingested.recordings, ingested.events)
    rows = expand(windows).merge(ingested.recordings[["recording_id", "subject", "rate_hz"]], on="recording_id")
    return list(zip(rows["subject"], (rows["start"] / rows["rate_hz"]).tolist(), rows["label"], strict=True))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (TuabTask(), [("aaaaaaab", 0, "abnormal"), ("aaaaaaab", 10, "abnormal")]),
        (TuepTask(), [("aaaaaaal", 0, "epilepsy"), ("aaaaaaal", 10, "epilepsy")]),
        (TuevTask(), [("aaaaaaar", 2, "spsw"), ("aaaaaaar", 2, "spsw")]),
        (TuevTask(per="event"), [("aaaaaaar", 2, "spsw")]),
        (
            TuarTask(),
            [
                *(("aaaaaaac", t, "artifact" if t in (0, 15) else "none") for t in (0, 5, 10, 15)),
                *(("aaaaaaad", t, "artifact" if t == 0 else "none") for t in (0, 5, 10, 15)),
            ],
        ),
        (TuslTask(), [("aaaaaaak", 5, "slow")]),
        (TuszTask(length_s=5), [("aaaaaaaj", t, "seiz" if t < 10 else "bckg") for t in (0, 5, 10, 15)]),
        (TuszTask(length_s=5, level="event"), [("aaaaaaaj", t, "cpsz" if t < 13 else "bckg") for t in (2, 7, 13)]),
    ],
)
def test_each_task_cuts_its_own_corpus(ingested, task: Cut, expected: list[tuple[str, float, str]]) -> None:
    assert cut(ingested, task) == expected


def test_derivations_from_the_file_to_the_targets(ingested) -> None:
    assert list(DERIVATIONS) == TCP_NAMES
    task = TuarTask(mode="mmc")
    windows, counts = cut_windows(ingested.recordings, ingested.events, WindowParams(cuts={"task": task}))
    targets = np.stack(windows["targets"])
    seen = [(w, TCP_NAMES[k], task.target_spec.classes[int(targets[w, k])]) for w, k in np.argwhere(targets > 0)]
    assert seen == [(0, "T4-A2", "eyem"), (3, "FP1-F7", "elec"), (4, "FP1-F7", "chew")]
    missing = {TCP_NAMES[k] for _, k in np.argwhere(np.isnan(targets))}
    assert missing == {"A1-T3", "T4-A2"}
    assert np.isnan(targets).sum(axis=1).tolist() == [0] * 4 + [2] * 4
    assert counts["task"]["n_recordings_of_other_corpus"] == 5


@pytest.mark.parametrize("task", [TuevTask(), TuarTask(), TuslTask(), TuszTask()])
@pytest.mark.parametrize("column", ["duration_s", "source", "channel"])
def test_events_without_annotations_are_told(task: Cut, column: str) -> None:
    events = events_table([(0, 1.0, 2.0, "bckg", "TERM")]).drop(columns=column)
    with pytest.raises(ConfigError, match=f"cut 'x': events have no column '{column}', which TUH annotations bring"):
        task.find(recordings_table([[(0, 500)]]), events, SampleGrid(10.0, "x"))


EVERY_WAY = [TuevTask(), TuevTask(per="time"), TuarTask(), TuarTask(mode="mcc"), TuarTask(mode="mmc"), TuslTask()]
EVERY_WAY += [TuslTask(rule="majority"), TuszTask(), TuszTask(level="event")]


@pytest.mark.parametrize("task", EVERY_WAY)
def test_no_recording_and_no_annotation_give_no_window(task: Cut) -> None:
    sample_grid = SampleGrid(10.0, "x")
    for recordings in (
        recordings_table([[(0, 500)], []]),
        recordings_table([[(0, 500)]], "other"),
        recordings_table([]),
    ):
        runs = task.find(recordings, events_table([(7, 1.0, 2.0, "seiz", "TERM")]), sample_grid)
        assert len(runs.start) == 0
        assert len(runs.table(recordings, "x")) == 0


def test_lengths_are_whole_samples() -> None:
    events = events_table([(0, 1.0, 2.0, "spsw", "FP1-F7", "rec")])
    with pytest.raises(ConfigError, match=r"cut 'x': margin_s 0\.25 is 2\.5 samples"):
        TuevTask(margin_s=0.25).find(recordings_table([[(0, 500)]]), events, SampleGrid(10.0, "x"))
