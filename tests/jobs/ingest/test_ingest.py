"""A corpus in its store: the same whoever converts it, never converted twice, never behind its raw files."""

import errno
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import eegfm.jobs.ingest.convert as convert_module
import eegfm.jobs.ingest.ingest as job
import eegfm.jobs.ingest.stream as stream
import eegfm.jobs.ingest.workers as workers
from damage import overwrite
from eegfm.corpora.config import BidsCorpus, CorpusConfig, HbnCorpus
from eegfm.errors import EegfmError, RecordingError, StoreError
from eegfm.jobs.ingest import staleness
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.jobs.ingest.describe import spectrum_table
from eegfm.jobs.ingest.ingest import Ingested
from eegfm.jobs.ingest.staleness import store_facts
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.store.index import RejectedEntry
from eegfm.store.reader import SignalStore
from tone_corpus import CORPUS, PARAMS, TONE_HZ, run_ingest, write_corpus, write_recording

RECORDINGS_COLUMNS = {
    "recording_id", "corpus", "person", "subject", "session", "bids_task", "run", "path", "montage", "reference",
    "n_channels", "rate_hz", "original_rate_hz", "n_samples", "segment_starts", "segment_stops", "official_split",
    "flags", "labels_left_out", "labels_not_understood", "n_clipped", "signal_hashes", "bad_ratio", "simulated",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "raw")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "signals"


def ids(done: Ingested) -> list[str]:
    return [i.removeprefix("tones:") for i in done.recordings["recording_id"]]


def test_two_workers_write_what_one_writes(root: Path, tmp_path: Path) -> None:
    one = run_ingest(root, tmp_path / "one")
    two = run_ingest(root, tmp_path / "two", PARAMS.model_copy(update={"workers": WorkerParams(n_workers=2)}))
    assert two.store.digest() == one.store.digest()
    [shard_one], [shard_two] = (sorted((tmp_path / name).rglob("*.i16")) for name in ("one", "two"))
    assert shard_one.read_bytes() == shard_two.read_bytes()
    for name in ("recordings", "events", "rejected", "file_outcomes"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name))


def test_tables(root: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "c_1.edf").write_bytes(b"no EDF")
    with caplog.at_level(logging.INFO, logger="eegfm"):
        done = run_ingest(root, folder, PARAMS.model_copy(update={"max_rejected_ratio": 0.5}))
    assert set(done.recordings.columns) >= RECORDINGS_COLUMNS
    assert ids(done) == ["a_1", "a_2", "b_1"]
    assert done.recordings["person"].tolist() == ["tones:a", "tones:a", "tones:b"]
    assert not done.recordings["simulated"].any()
    assert done.rejected["path"].tolist() == ["c_1.edf"]
    assert len(done.recordings) + len(done.rejected) == 4
    assert "tones: 4 files, 4 to convert" in caplog.messages
    assert done.file_outcomes["outcome"].tolist() == ["in", "in", "in", "rejected"]
    assert done.file_outcomes["why"].tolist() == ["", "", "", "not_edf"]
    [counts] = [m.splitlines() for m in caplog.messages if m.startswith("tones: what became of 4 files")]
    assert [line.split() for line in counts[2:]] == [
        ["in", "3", "0.01"],
        ["flagged", "0", "0.00"],
        ["rejected", "1", "0.00", "not_edf", "1"],
        ["excluded", "0", "0.00"],
        ["seen", "4", "0.01"],
    ]
    assert list(done.events.columns) == ["recording_id", "onset_s", "duration_s", "value"]
    assert done.store.damaged() == []


def test_simulated_is_written_on_everything(root: Path, folder: Path) -> None:
    raw_files = CORPUS.build("tones").index(root)
    done = job.ingest(raw_files, root, PARAMS, SignalParams(), folder, simulated=True)
    assert done.store.is_simulated
    assert done.recordings["simulated"].all()


def test_second_run_converts_nothing(root: Path, folder: Path, conversions: list[str]) -> None:
    first = run_ingest(root, folder)
    conversions.clear()
    index = (folder / "index.jsonl").read_bytes()
    second = run_ingest(root, folder)
    assert conversions == []
    assert (folder / "index.jsonl").read_bytes() == index
    pd.testing.assert_frame_equal(first.recordings, second.recordings)


def test_changed_file_is_replaced(root: Path, folder: Path, tmp_path: Path, conversions: list[str]) -> None:
    run_ingest(root, folder)
    conversions.clear()
    write_recording(root / "a_2.edf", duration_s=8, amplitude_uv=20)
    done = run_ingest(root, folder)
    assert conversions == ["a_2.edf"]
    assert ids(done) == ["a_1", "a_2", "b_1"]
    assert done.recordings["n_samples"].tolist() == [1200, 800, 1200]
    assert done.store.digest() == run_ingest(root, tmp_path / "fresh").store.digest()


def test_replaced_recordings_give_their_bytes_back(root: Path, folder: Path) -> None:
    run_ingest(root, folder)
    for seed in range(3):
        for k, path in enumerate(sorted(root.iterdir())):
            write_recording(path, phase_seed=10 * seed + k)
        done = run_ingest(root, folder)
    n_live = int((done.recordings["n_samples"] * done.recordings["n_channels"] * 2).sum())
    assert sum(path.stat().st_size for path in folder.rglob("*.i16")) == n_live


def test_excluded_files_are_accounted_for_and_never_opened(root: Path, folder: Path, conversions: list[str]) -> None:
    (root / "foreign.edf").write_bytes(b"no recording of this layout")
    done = run_ingest(root, folder)
    assert conversions == ["a_1.edf", "a_2.edf", "b_1.edf"]
    assert done.rejected.empty
    rows = done.file_outcomes.set_index("path")["outcome"].to_dict()
    assert rows == {"a_1.edf": "in", "a_2.edf": "in", "b_1.edf": "in", "foreign.edf": "excluded"}


def test_a_file_that_is_excluded_later_leaves_the_store(root: Path, folder: Path) -> None:
    run_ingest(root, folder)
    raw_files = CORPUS.build("tones").index(root)
    raw_files.loc[raw_files["subject"] == "a", "excluded"] = "on a list"
    done = job.ingest(raw_files, root, PARAMS, SignalParams(), folder, simulated=False)
    assert ids(done) == ["b_1"]
    raw_files["excluded"] = "on a list"
    done = job.ingest(raw_files, root, PARAMS, SignalParams(), folder, simulated=False)
    with pytest.raises(EegfmError, match=r"all 3 files are excluded; first: a_1\.edf: on a list"):
        job.check_accounts(done.file_outcomes, done.recordings, done.rejected, "tones", 1.0)


def test_labels_change_without_a_conversion(root: Path, folder: Path, conversions: list[str]) -> None:
    raw_files = CORPUS.build("tones").index(root)
    raw_files["group"] = ["x", "x", "y"]
    job.ingest(raw_files, root, PARAMS, SignalParams(), folder, simulated=False)
    raw_files["group"] = ["x", "", "z"]
    done = job.ingest(raw_files, root, PARAMS, SignalParams(), folder, simulated=False)
    assert done.recordings["group"].tolist() == ["x", "", "z"]
    done = job.ingest(raw_files.drop(columns="group"), root, PARAMS, SignalParams(), folder, simulated=False)
    assert "group" not in done.recordings
    assert conversions == ["a_1.edf", "a_2.edf", "b_1.edf"]


def test_fields_that_only_list_make_nothing_stale() -> None:
    def made_by(corpus: CorpusConfig, **others: object) -> str:
        return store_facts(IngestParams(corpus=corpus, **others), SignalParams(), simulated=False).made_by

    assert made_by(BidsCorpus()) == made_by(BidsCorpus(labels={"MMSE": "number"}, tasks=("rest",)))
    assert made_by(HbnCorpus()) == made_by(HbnCorpus(excluded_subjects={}))
    assert made_by(BidsCorpus()) != made_by(BidsCorpus(positions="electrodes_tsv"))
    assert made_by(BidsCorpus()) != made_by(BidsCorpus(), rates_hz=(500.0,))
    assert made_by(BidsCorpus()) != made_by(BidsCorpus(), reading=ReadParams(units={"uv": "uV"}))
    assert made_by(BidsCorpus()) == made_by(BidsCorpus(), reading=ReadParams(timeout_s=1, max_memory_bytes=1))


def test_removed_file_drops_out_and_new_one_comes_in(
    root: Path, folder: Path, tmp_path: Path, conversions: list[str]
) -> None:
    run_ingest(root, folder)
    conversions.clear()
    (root / "a_1.edf").unlink()
    write_recording(root / "d_1.edf", duration_s=6)
    done = run_ingest(root, folder)
    assert ids(done) == ["a_2", "b_1", "d_1"]
    assert conversions == ["d_1.edf"]
    assert done.store.digest() == run_ingest(root, tmp_path / "fresh").store.digest()


@pytest.mark.parametrize("changed", [{"high_hz": 30}, {"rate_hz": 120}, {"notch_hz": 40}, {"min_channels": 9}])
def test_other_signal_parameters_make_everything_stale(
    root: Path, folder: Path, tmp_path: Path, conversions: list[str], changed: dict[str, float]
) -> None:
    signal = SignalParams(**changed)
    run_ingest(root, folder)
    conversions.clear()
    done = run_ingest(root, folder, signal=signal)
    assert conversions == ["a_1.edf", "a_2.edf", "b_1.edf"]
    assert done.store.rate_hz == signal.rate_hz
    assert done.store.digest() == run_ingest(root, tmp_path / "fresh", signal=signal).store.digest()


def test_other_corpus_parameters_or_code_make_everything_stale(
    root: Path, folder: Path, conversions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_ingest(root, folder)
    conversions.clear()
    other = PARAMS.model_copy(update={"corpus": CORPUS.model_copy(update={"reference": "linked_ears"})})
    assert set(run_ingest(root, folder, other).recordings["reference"]) == {"linked_ears"}
    assert len(conversions) == 3
    monkeypatch.setattr(staleness, "store_code", lambda corpus: "another version")
    run_ingest(root, folder, other)
    assert len(conversions) == 6


def test_workers_and_limits_do_not_make_anything_stale(root: Path, folder: Path, conversions: list[str]) -> None:
    run_ingest(root, folder)
    conversions.clear()
    run_ingest(root, folder, PARAMS.model_copy(update={"workers": WorkerParams(), "max_rejected_ratio": 0.9}))
    assert conversions == []


@pytest.fixture
def lenient() -> job.IngestParams:
    return PARAMS.model_copy(update={"max_rejected_ratio": 0.9})


def test_rejected_file_is_a_row_and_not_tried_again(
    root: Path, folder: Path, conversions: list[str], lenient: job.IngestParams
) -> None:
    write_recording(root / "a_2.edf", duration_s=3)
    done = run_ingest(root, folder, lenient)
    assert ids(done) == ["a_1", "b_1"]
    [row] = done.rejected.to_dict("records")
    assert (row["path"], row["stage"], row["code"]) == ("a_2.edf", "read", "too_short")
    assert row["reason"] == "longest stretch without gaps lasts 3.00 s"
    assert row["remedy"] == "at least signal.min_duration_s=4.0 are needed"
    conversions.clear()
    again = run_ingest(root, folder, lenient)
    assert conversions == []
    pd.testing.assert_frame_equal(again.rejected, done.rejected)
    write_recording(root / "a_2.edf", duration_s=7)
    mended = run_ingest(root, folder, lenient)
    assert conversions == ["a_2.edf"]
    assert ids(mended) == ["a_1", "a_2", "b_1"]
    assert mended.rejected.empty
    assert list(mended.rejected.columns) == ["path", "stage", "code", "reason", "remedy"]


def test_recording_that_is_damaged_later_leaves_the_store(root: Path, folder: Path, lenient: job.IngestParams) -> None:
    run_ingest(root, folder)
    (root / "a_1.edf").write_bytes((root / "a_1.edf").read_bytes()[:100])
    done = run_ingest(root, folder, lenient)
    assert ids(done) == ["a_2", "b_1"]
    assert [e.recording_id for e in SignalStore(folder).entries] == ["tones:a_2", "tones:b_1"]
    assert done.rejected["path"].tolist() == ["a_1.edf"]


def test_too_many_rejections_end_the_run_and_keep_what_got_in(root: Path, folder: Path, conversions: list[str]) -> None:
    write_recording(root / "a_2.edf", duration_s=3)
    (root / "b_1.edf").write_bytes(b"")
    with pytest.raises(EegfmError) as info:
        run_ingest(root, folder)
    text = str(info.value)
    assert text.startswith("2 of 3 files were rejected (")
    assert "too_short 1" in text
    assert "ingest.max_rejected_ratio allows 20%" in text
    assert "first: a_2.edf: longest stretch without gaps lasts 3.00 s; at least" in text
    conversions.clear()
    with pytest.raises(EegfmError, match="2 of 3 files"):
        run_ingest(root, folder)
    assert conversions == []
    assert len(SignalStore(folder).entries) == 1


def test_nothing_in_is_an_error_whatever_the_limit(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a_1.edf").write_bytes(b"")
    with pytest.raises(EegfmError, match="1 of 1 files were rejected"):
        run_ingest(tmp_path / "raw", folder, PARAMS.model_copy(update={"max_rejected_ratio": 1.0}))


def test_interrupted_run_goes_on_where_it_stopped(
    root: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def killed_at_the_third(task: Task) -> Converted | RejectedEntry:
        seen.append(task.row["path"])
        if len(seen) == 3:
            raise KeyboardInterrupt
        return convert(task)

    monkeypatch.setattr(workers, "convert", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_ingest(root, folder)
    done = run_ingest(root, folder)
    assert seen == ["a_1.edf", "a_2.edf", "b_1.edf", "b_1.edf"]
    assert done.store.digest() == run_ingest(root, tmp_path / "fresh").store.digest()
    assert not (folder / "spool").exists()


def test_raw_files_are_never_written_to(root: Path, folder: Path) -> None:
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.iterdir()}
    run_ingest(root, folder)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.iterdir()} == before


def test_missing_labels_survive_the_index(tmp_path: Path, folder: Path) -> None:
    """NaN is no JSON: in the index a missing label is null, in the table it is NaN again."""
    root = write_corpus(tmp_path / "raw")
    raw_files = CORPUS.build("tones").index(root)
    raw_files["p_factor"] = [0.5, np.nan, -1.25]
    raw_files["sex"] = ["F", "", "M"]
    done = job.ingest(raw_files, root, PARAMS, SignalParams(), folder, simulated=False)
    np.testing.assert_array_equal(done.recordings["p_factor"], [0.5, np.nan, -1.25])
    assert done.recordings["p_factor"].dtype == np.float64
    assert done.recordings["sex"].tolist() == ["F", "", "M"]


def test_a_full_disk_ends_the_run_and_rejects_nothing(
    root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the store's disk does wrong is no fault of the recording."""

    def full(file: object, data: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("eegfm.jobs.ingest.stream._write", full)
        with pytest.raises(StoreError, match="No space left on device"):
            run_ingest(root, folder)
    done = run_ingest(root, folder)
    assert ids(done) == ["a_1", "a_2", "b_1"]
    assert not len(done.rejected)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
def test_a_few_samples_that_do_not_fit_are_the_disks_fault_too(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So few that a buffer would hold them back until their file is closed."""
    (tmp_path / "few").mkdir()
    write_recording(tmp_path / "few" / "a_1.edf", duration_s=4.0, order=tuple(TONE_HZ)[:4])
    opened = stream._new_file
    monkeypatch.setattr(stream, "_new_file", lambda path: opened(Path("/dev/full")))
    with pytest.raises(StoreError, match="No space left on device"):
        run_ingest(tmp_path / "few", folder, signal=SignalParams(min_channels=4))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.EIO, "Input/output error"), "not_readable"),
        (RecordingError("unreadable", "b_1.edf: Permission denied", "check it"), "unreadable"),  # as readers say it
    ],
)
def test_a_file_that_could_not_be_read_is_tried_again(
    root: Path, folder: Path, conversions: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def unreadable(path: Path) -> None:
        raise error

    params = PARAMS.model_copy(update={"max_rejected_ratio": 0.5})
    with monkeypatch.context() as patch:
        opened = convert_module.open_reader
        patch.setattr(convert_module, "open_reader", lambda p, r: unreadable(p) if p.stem == "b_1" else opened(p, r))
        assert run_ingest(root, folder, params).rejected["code"].tolist() == [code]
    conversions.clear()
    assert ids(run_ingest(root, folder, params)) == ["a_1", "a_2", "b_1"]
    assert conversions == ["b_1.edf"]


@pytest.mark.parametrize("fault", ["bytes", "cut", "missing"])
def test_damaged_recordings_are_converted_again_and_no_others(
    root: Path, folder: Path, conversions: list[str], fault: str
) -> None:
    done = run_ingest(root, folder)
    digest, rows = done.store.digest(), done.recordings.set_index("recording_id")
    conversions.clear()
    [shard] = folder.rglob("*.i16")
    if fault == "bytes":
        overwrite(folder, "tones:a_2", 100, 1000)
        with pytest.raises(StoreError, match=r"in recording tones:a_2; mend it with: kedro run --pipelines=ingest"):
            SignalStore(folder).recording("tones:a_2")
    elif fault == "cut":
        os.truncate(shard, shard.stat().st_size - 10)
    else:
        shard.unlink()
    again = run_ingest(root, folder)
    assert (
        conversions == {"bytes": ["a_2.edf"], "cut": ["b_1.edf"], "missing": ["a_1.edf", "a_2.edf", "b_1.edf"]}[fault]
    )
    assert again.store.digest() == digest
    pd.testing.assert_frame_equal(again.recordings.set_index("recording_id"), rows, check_like=True)
    conversions.clear()
    run_ingest(root, folder)
    assert conversions == []


@pytest.mark.parametrize("n_damaged", [1, 3])
def test_damage_that_ingestion_comes_upon_is_mended_by_the_same_run(
    tmp_path: Path, folder: Path, conversions: list[str], n_damaged: int, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "raw"
    root.mkdir()
    for number in (1, 2, 3):  # of one length, so that they are compared with each other
        write_recording(root / f"a_{number}.edf", duration_s=30, phase_seed=number)
    digest = run_ingest(root, folder).store.digest()
    for number in range(1, n_damaged + 1):
        overwrite(folder, f"tones:a_{number}", 0, 3000)
    conversions.clear()
    again = run_ingest(root, folder)
    assert conversions == ["a_1.edf", "a_2.edf", "a_3.edf"][:n_damaged]
    assert again.store.digest() == digest
    assert any("differ from their checksums" in record.getMessage() for record in caplog.records)
    assert not (folder / "damaged.txt").exists()


def test_damage_that_a_description_would_come_upon_is_mended_before(
    root: Path, folder: Path, conversions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "find_copies", lambda *_: {})
    done = run_ingest(root, folder)
    digest, before = done.store.digest(), spectrum_table(done.store, done.recordings)
    overwrite(folder, "tones:a_2", 0, 500)
    conversions.clear()
    again = run_ingest(root, folder)
    assert conversions == ["a_2.edf"]
    assert again.store.digest() == digest
    pd.testing.assert_frame_equal(spectrum_table(SignalStore(folder), again.recordings), before)


def test_damage_that_comes_back_at_once_is_an_error(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(store: SignalStore, *_: Any) -> None:
        overwrite(store.folder, "tones:a_2", 0, 500)
        SignalStore(store.folder).recording("tones:a_2")

    monkeypatch.setattr(job, "find_copies", damaged)
    with pytest.raises(StoreError, match="in recording tones:a_2; mend it with"):
        run_ingest(root, folder)


def test_damage_beside_what_is_read_is_mended_too(
    root: Path, folder: Path, conversions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reads_a_1(store: SignalStore, *_: object) -> dict[str, str]:
        store.recording("tones:a_1")
        return {}

    digest = run_ingest(root, folder).store.digest()
    overwrite(folder, "tones:a_2", 0, 500)
    conversions.clear()
    monkeypatch.setattr(job, "read_described", lambda *_: None)
    monkeypatch.setattr(job, "find_copies", reads_a_1)
    assert run_ingest(root, folder).store.digest() == digest
    assert conversions == ["a_2.edf"]


def test_damage_that_is_found_while_bytes_are_given_back_is_mended(
    root: Path, folder: Path, tmp_path: Path, conversions: list[str]
) -> None:
    run_ingest(root, folder)
    overwrite(folder, "tones:a_2", 0, 500)
    (root / "b_1.edf").unlink()
    conversions.clear()
    again = run_ingest(root, folder)
    assert conversions == ["a_2.edf"]
    assert again.store.digest() == run_ingest(root, tmp_path / "fresh").store.digest()
    assert not (folder / "damaged.txt").exists()
    assert sum(path.stat().st_size for path in folder.rglob("*.i16")) == 2 * 1200 * 12 * 2
