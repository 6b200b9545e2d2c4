"""Copies, clones and touched files are recognised by their contents; anything else is converted again."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import eegfm.jobs.ingest.convert as convert_module
from bids_tree import write_signal, write_tree
from eegfm.corpora.config import BidsCorpus
from eegfm.errors import RecordingError
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.convert import Converted, Task
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.store.index import read_index, scan_index
from eegfm.store.reader import SignalStore
from set_files import TEN_TWENTY
from tone_corpus import PARAMS, run_ingest, write_corpus, write_recording

OTHER_NS = 10**18


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A finished project: a raw folder and its store."""
    run_ingest(write_corpus(tmp_path / "here" / "raw"), tmp_path / "here" / "data" / "signals")
    return tmp_path / "here"


def touch(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, ns=(OTHER_NS, OTHER_NS))


def run(project: Path) -> Ingested:
    return run_ingest(project / "raw", project / "data" / "signals")


def test_touched_files_are_compared_once_and_converted_never(
    project: Path, conversions: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    before, shards = run(project), [path.read_bytes() for path in sorted(project.rglob("*.i16"))]
    touch(project / "raw")
    with caplog.at_level(logging.INFO, logger="eegfm"):
        after = run(project)
    assert conversions == []
    assert "tones: 3 files, 0 to convert" in caplog.messages
    assert "tones: the files of 3 known recordings have another time or size; comparing contents" in caplog.messages
    assert "tones: 3 recordings have the contents that they had, and are not converted again" in caplog.messages
    assert after.store.identity == before.store.identity
    assert [path.read_bytes() for path in sorted(project.rglob("*.i16"))] == shards
    pd.testing.assert_frame_equal(after.recordings, before.recordings)
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="eegfm"):
        run(project)
    assert not any("have another time" in message for message in caplog.messages), "one comparison is enough"


@pytest.mark.parametrize("how", ["copy", "copy of the raw folder", "move of the data"])
def test_a_project_at_another_place_converts_nothing(
    project: Path, tmp_path: Path, conversions: list[str], how: str
) -> None:
    identity, there = run(project).store.identity, tmp_path / "elsewhere" / "there"
    if how == "copy":
        shutil.copytree(project, there, copy_function=shutil.copyfile)
    else:
        there.mkdir(parents=True)
        shutil.copytree(project / "raw", there / "raw", copy_function=shutil.copyfile)
        (project / "data").rename(there / "data")
    assert run(there).store.identity == identity
    assert conversions == []


def test_another_content_of_the_same_size_is_converted(project: Path, tmp_path: Path, conversions: list[str]) -> None:
    path = project / "raw" / "a_2.edf"
    data = bytearray(path.read_bytes())
    data[-1000:] = data[-2000:-1000]
    touch(project / "raw")
    path.write_bytes(data)
    after = run(project)
    assert conversions == ["a_2.edf"]
    assert after.store.digest() == run_ingest(project / "raw", tmp_path / "fresh").store.digest()


def test_files_that_swap_their_names_are_converted(project: Path, tmp_path: Path, conversions: list[str]) -> None:
    first, second = project / "raw" / "a_1.edf", project / "raw" / "b_1.edf"
    first.rename(tmp_path / "x")
    second.rename(first)
    (tmp_path / "x").rename(second)
    after = run(project)
    assert sorted(conversions) == ["a_1.edf", "b_1.edf"]
    assert after.store.digest() == run_ingest(project / "raw", tmp_path / "fresh").store.digest()


def test_other_parameters_convert_touched_files_all_the_same(project: Path, conversions: list[str]) -> None:
    touch(project / "raw")
    run_ingest(project / "raw", project / "data" / "signals", signal=SignalParams(high_hz=30))
    assert len(conversions) == 3


def test_an_entry_that_knows_no_content_is_converted(
    project: Path, conversions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project / "data" / "signals"
    shutil.rmtree(folder)
    with monkeypatch.context() as patch:
        patch.setattr("eegfm.jobs.ingest.workers.content_of", lambda *_: "")
        run(project)
    conversions.clear()
    touch(project / "raw")
    run(project)
    assert len(conversions) == 3
    touch(project / "raw")
    conversions.clear()
    run(project)
    assert conversions == []


def test_a_touched_entry_survives_compaction_and_rebuilt_addresses(project: Path, conversions: list[str]) -> None:
    touch(project / "raw")
    run(project)
    (project / "raw" / "a_1.edf").unlink()
    run(project)  # a third of the bytes is dead: the others move to new shards
    folder = project / "data" / "signals"
    assert [type(entry).__name__ for entry, _ in scan_index(folder)] == ["RecordingEntry"] * 2
    for path in folder.glob("*.arrow"):
        path.unlink()
    assert len(SignalStore(folder).entries) == 2
    run(project)
    assert conversions == []


def test_two_workers_compare_too(project: Path) -> None:
    identity = run(project).store.identity
    touch(project / "raw")
    params = PARAMS.model_copy(update={"workers": WorkerParams(n_workers=2)})
    done = run_ingest(project / "raw", project / "data" / "signals", params)
    assert done.store.identity == identity
    names = [type(entry).__name__ for entry, _ in scan_index(project / "data" / "signals")]
    assert names == ["RecordingEntry"] * 3 + ["TouchedEntry"] * 3


def test_rejected_files_are_compared_too(project: Path, conversions: list[str]) -> None:
    (project / "raw" / "x_1.edf").write_bytes(b"no EDF")
    params = PARAMS.model_copy(update={"max_rejected_ratio": 0.5})

    def rejected(limit: int = 4 << 30) -> list[str]:
        conversions.clear()
        limited = params.model_copy(update={"reading": ReadParams(max_memory_bytes=limit)})
        done = run_ingest(project / "raw", project / "data" / "signals", limited)
        return done.rejected["code"].tolist()

    assert (rejected(), conversions) == (["not_edf"], ["x_1.edf"])
    touch(project / "raw")
    assert (rejected(), conversions) == (["not_edf"], [])
    (project / "raw" / "x_1.edf").write_bytes(b"NO EDF")
    assert (rejected(), conversions) == (["not_edf"], ["x_1.edf"])


def test_what_limits_rejected_stays_rejected_until_these_change(
    project: Path, conversions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recording(project / "raw" / "x_1.edf", phase_seed=9)
    real = convert_module._convert

    def too_large(task: Task) -> Converted:
        if task.row["path"] == "x_1.edf" and task.params.reading.max_memory_bytes < 1 << 30:
            raise RecordingError("too_large", "x_1.edf: large", "leave it out")
        return real(task)

    monkeypatch.setattr(convert_module, "_convert", too_large)

    def codes(limit: int) -> list[str]:
        conversions.clear()
        limited = PARAMS.model_copy(update={"max_rejected_ratio": 0.5, "reading": ReadParams(max_memory_bytes=limit)})
        return run_ingest(project / "raw", project / "data" / "signals", limited).rejected["code"].tolist()

    assert (codes(1000), conversions) == (["too_large"], ["x_1.edf"])
    touch(project / "raw")
    assert (codes(1000), conversions) == (["too_large"], [])
    assert (codes(1000), conversions) == (["too_large"], [])
    for path in (project / "raw").iterdir():
        os.utime(path, ns=(1, 1))
    assert (codes(1 << 30), conversions) == ([], ["x_1.edf"])


EVENTS = "sub-01/eeg/sub-01_task-x_events.tsv"
ROWS = [("onset", "duration", "trial_type"), (1, 0, "go")]


def rewritten(value: str) -> Callable[[Path], None]:
    return lambda root: write_tree(root, {EVENTS: [ROWS[0], (1, 0, value)]})


@pytest.mark.parametrize(
    ("change", "is_converted"),
    [
        (touch, False),
        (rewritten("go"), False),
        (rewritten("no"), True),
        (rewritten("stop"), True),
        (lambda root: (root / EVENTS).unlink(), True),
        (lambda root: shutil.copy(root / EVENTS, (root / EVENTS).with_name("sub-01_events.tsv")), True),
    ],
)
def test_side_files_count(
    tmp_path: Path, conversions: list[str], change: Callable[[Path], None], *, is_converted: bool
) -> None:
    root = tmp_path / "raw"
    write_signal(root / "sub-01" / "eeg" / "sub-01_task-x_eeg.edf", TEN_TWENTY[:8])
    write_tree(root, {EVENTS: ROWS})
    params = IngestParams(corpus=BidsCorpus(), workers=WorkerParams(n_workers=1))

    def ingested() -> None:
        raw_files = params.corpus.build("mine").index(root)
        ingest(raw_files, root, params, SignalParams(), tmp_path / "signals", simulated=False)

    ingested()
    conversions.clear()
    os.utime(root / EVENTS, ns=(1, 1))
    ingested()
    assert conversions == []
    change(root)
    ingested()
    assert (len(conversions) == 1) == is_converted
    [entry] = read_index(tmp_path / "signals").values()
    assert not hasattr(entry, "code"), entry


def test_parts_are_compared_with_each_other(tmp_path: Path, conversions: list[str]) -> None:
    root = tmp_path / "raw"
    parts = [root / "sub-01" / "eeg" / f"sub-01_task-x_split-0{k}_eeg.edf" for k in (1, 2, 3)]
    for part in parts:
        write_signal(part, TEN_TWENTY[:8])
    write_tree(root, {EVENTS: ROWS})
    params = IngestParams(corpus=BidsCorpus(), workers=WorkerParams(n_workers=1))

    def converted() -> int:
        conversions.clear()
        raw_files = params.corpus.build("mine").index(root)
        ingest(raw_files, root, params, SignalParams(), tmp_path / "signals", simulated=False)
        return len(conversions)

    assert converted() == 3
    touch(root)
    assert converted() == 0
    write_signal(parts[0], TEN_TWENTY[:8], duration_s=11)
    assert converted() == 3, "the times of events in later parts depend on it"
