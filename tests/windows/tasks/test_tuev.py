"""TUEV: five seconds around each annotated one, and the derivation that a row of a ``.rec`` file means."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_examples import examples
from eegfm.corpora.config import TuhCorpus
from eegfm.corpora.tuh_annotations import REC_CLASSES
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.tuev import CLASSES, TuevTask
from tone_corpus import run_ingest
from tuh_tables import Row, events_table, marked, recordings_table
from tuh_tree import TCP_NAMES, write_recording

CLOCK = SampleGrid(10.0, "events")
SEGMENTS = [[(0, 230), (240, 620)], [(0, 49)]]
rows = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(0, 619), st.sampled_from([0, 3, 10, 10, 10, 17]), st.sampled_from(CLASSES),
        st.sampled_from(["FP1-F7", "T4-A2"]),
    ).map(lambda row: (row[0], row[1] / 10, (row[1] + row[2]) / 10, *row[3:])),
    min_size=1,
    max_size=12,
)  # fmt: skip


def cut(found: list[Row], **fields: object) -> Runs:
    return TuevTask(**fields).find(recordings_table(SEGMENTS, "tuev"), events_table(found, "rec"), CLOCK)


def start_of(row: Row) -> tuple[int, int] | None:
    """Recording and first sample of the window around an event, if it has room."""
    start = round(row[1] * 10) - 20
    fits = any(a <= start and start + 50 <= b for a, b in SEGMENTS[row[0]])
    return (row[0], start) if fits else None


def test_the_classes_are_those_of_rec_files() -> None:
    assert list(CLASSES) == [REC_CLASSES[str(n)] for n in range(1, 7)]
    assert TuevTask().target_spec == ("multiclass", CLASSES, (), "")
    assert TuevTask(per="time").target_spec == ("multioutput", CLASSES, tuple(TCP_NAMES), "")


@given(rows)
@settings(max_examples=examples(15), deadline=None)
def test_one_window_for_each_row(found: list[Row]) -> None:
    runs = cut(found)
    expected = [(*window, row[3]) for row in found if (window := start_of(row))]
    assert sorted(zip(runs.recording, runs.start, runs.label, strict=True)) == sorted(expected)
    assert runs.counted["n_events"] == len(found)
    assert runs.counted["n_events_out_of_range"] == len(found) - len(expected)
    assert (runs.n_samples, runs.n_windows) == (50, None)


@given(rows)
@settings(max_examples=examples(15), deadline=None)
def test_one_window_for_each_time_and_class(found: list[Row]) -> None:
    runs = cut(found, per="event")
    expected = [(*window, row[3]) for row in found if (window := start_of(row))]
    assert sorted(zip(runs.recording, runs.start, runs.label, strict=True)) == sorted(set(expected))
    assert runs.counted["n_events_repeated"] == len(expected) - len(set(expected))


@given(rows)
@settings(max_examples=examples(15), deadline=None)
def test_one_window_for_each_time_and_the_class_of_each_derivation(found: list[Row]) -> None:
    runs = cut(found, per="time")
    expected = {}
    for r, start in {window for row in found if (window := start_of(row))}:
        targets = []
        for name in TCP_NAMES:
            n = [int(marked(found, r, [c], 1000, name)[start + 20 : start + 30].sum()) for c in CLASSES]
            targets.append(float(n.index(max(n))) if max(n) >= 5 else np.nan)
        if not np.isnan(targets).all():
            expected[r, start] = targets
    assert runs.targets is not None
    seen = list(zip(runs.recording.tolist(), runs.start.tolist(), strict=True))
    assert sorted(seen) == sorted(expected)
    assert len(set(seen)) == len(seen)
    for window, targets in zip(seen, runs.targets, strict=True):
        np.testing.assert_array_equal(targets, np.float32(expected[window]))


def test_an_event_near_the_end_is_dropped_and_never_wrapped() -> None:
    runs = cut([(0, t, t + 1.0, "pled", "FP1-F7") for t in (0.0, 1.9, 2.0, 20.0, 20.1, 25.9, 26.0, 59.0, 59.1)])
    assert runs.start.tolist() == [0, 180, 240, 570]
    assert runs.segment.tolist() == [0, 0, 1, 1]
    assert runs.counted["n_events_out_of_range"] == 5


def test_other_files_and_recordings_do_not_count() -> None:
    found = [(r, 1.0, 2.0, "spsw", "FP1-F7", "lab") for r in range(2)] + [(0, 9.0, 10.0, "spsw", "FP1-F7", "rec")]
    runs = cut(found)
    assert runs.counted == {
        "n_recordings_of_other_corpus": 0,
        "n_recordings_without_annotations": 1,
        "n_recordings_without_window": 0,
        "n_events_of_other_files": 2,
        "n_events_without_duration": 0,
        "n_events": 1,
        "n_events_of_other_labels": 0,
        "n_events_out_of_range": 0,
    }


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("tuev")
    file = write_recording(root, "edf/train/aaaaaaar/aaaaaaar_00000001.edf", duration_s=12.0)
    lines = ["13,4.4,5.4,2", "0,4.4,5.4,6", "13,0.4,1.4,6", "21,9.0,10.0,1"]
    file.with_suffix(".rec").write_text("\n".join(lines) + "\n")
    params = IngestParams(corpus=TuhCorpus(), workers=WorkerParams(n_workers=1))
    return run_ingest(root, Path(tmp_path_factory.mktemp("store")), params)


def test_index_13_of_a_rec_file_is_t4_a2_from_the_file_to_the_target(ingested) -> None:
    # A reader that takes the index for a channel of the file would find T3, C3 or CZ there.
    rate_hz = float(ingested.recordings["rate_hz"].iloc[0])
    sample_grid = SampleGrid(rate_hz, "events")
    task = TuevTask(per="time")
    runs = task.find(ingested.recordings, ingested.events, sample_grid)
    assert runs.start.tolist() == [round(2.4 * rate_hz), round(7.0 * rate_hz)]
    assert runs.targets is not None
    classes, outputs = task.target_spec.classes, task.target_spec.outputs
    first, second = (
        {outputs[k]: classes[int(target[k])] for k in np.flatnonzero(~np.isnan(target))} for target in runs.targets
    )
    assert first == {"FP1-F7": "bckg", "T4-A2": "gped"}
    assert second == {"P4-O2": "spsw"}
    assert task.target_spec.outputs[13] == "T4-A2"
    assert runs.counted["n_events_out_of_range"] == 1
    table = runs.table(ingested.recordings, "events")
    assert table["targets"].iloc[0].shape == (22,)
