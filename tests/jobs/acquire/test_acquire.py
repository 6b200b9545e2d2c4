"""Raw files become present: simulated ones are written once, remote ones fetched, others only looked for."""

import json
import logging
from pathlib import Path

import pytest

import eegfm.jobs.acquire.fetch
from eegfm.corpora.config import CorpusConfig, EdfFolderCorpus, TuhCorpus
from eegfm.corpora.simulated.config import MANIFEST, UNFINISHED, SimulatedHbn, SimulatedTuh
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.acquire import acquire, check_folder, is_simulated
from eegfm.jobs.acquire.config import AcquireParams, S3Source
from eegfm.jobs.acquire.fetched import FetchRecord, write_record
from kedro_project import run_python

LAYOUT = TuhCorpus()
TINY = AcquireParams(source=SimulatedTuh(n_subjects=1, duration_s=4))


def test_folder_is_handed_on_untouched(tmp_path: Path) -> None:
    (tmp_path / "a.edf").write_bytes(b"x")
    assert acquire(AcquireParams(), "mine", tmp_path, LAYOUT) == tmp_path
    assert [p.name for p in tmp_path.iterdir()] == ["a.edf"]


def test_missing_folder_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        EegfmError, match=r"mine: raw folder .*/gone does not exist; .* catalog entries mine\.raw_folder"
    ):
        acquire(AcquireParams(), "mine", tmp_path / "gone", LAYOUT)
    assert not (tmp_path / "gone").exists()


def test_simulated_files_are_written_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="eegfm"):
        assert acquire(TINY, "tuh", tmp_path / "raw", LAYOUT) == tmp_path / "raw"
        stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "raw").rglob("*.edf")}
        assert len(stamps) == 1
        acquire(TINY, "tuh", tmp_path / "raw", LAYOUT)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "raw").rglob("*.edf")} == stamps
    assert len([m for m in caplog.messages if "tuh: writing SIMULATED recordings to" in m]) == 1


def test_other_parameters_write_anew(tmp_path: Path) -> None:
    acquire(TINY, "tuh", tmp_path, LAYOUT)
    acquire(
        AcquireParams(source=SimulatedTuh(n_subjects=3, duration_s=4, two_sessions_ratio=0)), "tuh", tmp_path, LAYOUT
    )
    assert len(list(tmp_path.rglob("*.edf"))) == 3


def test_foreign_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.edf").write_bytes(b"precious")
    with pytest.raises(EegfmError):
        acquire(TINY, "tuh", tmp_path, LAYOUT)
    assert (tmp_path / "mine.edf").read_bytes() == b"precious"
    assert [p.name for p in tmp_path.iterdir()] == ["mine.edf"]


@pytest.mark.parametrize("left", ["nothing", ".DS_Store", ".eegfm_lock"])
def test_folder_of_hidden_files_is_empty(tmp_path: Path, left: str) -> None:
    if left != "nothing":
        (tmp_path / left).touch()
    with pytest.raises(EegfmError, match=r"mine: raw folder .* is empty; point the catalog entries mine\.raw_folder"):
        check_folder("mine", tmp_path)


def test_folder_may_be_a_link_but_no_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.edf").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    check_folder("mine", tmp_path / "link")
    with pytest.raises(EegfmError, match=r"mine: raw folder .*/a\.edf is no folder"):
        check_folder("mine", tmp_path / "real" / "a.edf")
    (tmp_path / "real" / "a.edf").unlink()
    (tmp_path / "real").rmdir()
    with pytest.raises(EegfmError, match=r"/link does not exist"):
        check_folder("mine", tmp_path / "link")


def test_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(EegfmError, match=r"mine: raw folder .* cannot be read \(Permission denied\); point"):
        check_folder("mine", tmp_path)


def test_folder_that_was_fetched_in_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.edf").touch()
    write_record(tmp_path, FetchRecord("s3://bucket/set", "", {}), [])
    with pytest.raises(EegfmError, match=r"fetching from s3://bucket/set was not finished"):
        acquire(AcquireParams(), "mine", tmp_path, LAYOUT)
    write_record(tmp_path, FetchRecord("s3://bucket/set", "choice", {}), [])
    acquire(AcquireParams(), "mine", tmp_path, LAYOUT)


def test_s3_source_is_fetched_as_the_corpus_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[S3Source, CorpusConfig, str, Path]] = []
    monkeypatch.setattr(eegfm.jobs.acquire.fetch, "fetch", lambda *args: calls.append(args))
    source, layout = S3Source(url="s3://bucket/set"), EdfFolderCorpus()
    assert acquire(AcquireParams(source=source), "mine", tmp_path, layout) == tmp_path
    assert calls == [(source, layout, "mine", tmp_path)]


def test_only_simulated_sources_simulate() -> None:
    assert not AcquireParams().simulates
    assert not AcquireParams(source=S3Source(url="s3://bucket")).simulates
    assert AcquireParams(source=SimulatedTuh()).simulates
    assert AcquireParams(source=SimulatedHbn()).simulates


@pytest.mark.parametrize(("name", "expected"), [(MANIFEST, True), (UNFINISHED, True), ("a.edf", False)])
def test_folder_of_the_simulator_is_known_also_when_unfinished(tmp_path: Path, name: str, expected: bool) -> None:
    (tmp_path / name).touch()
    assert is_simulated(tmp_path) is expected


def test_simulated_files_that_are_not_finished_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).touch()
    (tmp_path / "a.edf").touch()
    with pytest.raises(EegfmError, match=r"mine: raw folder .* holds SIMULATED recordings that are not finished; wait"):
        acquire(AcquireParams(), "mine", tmp_path, LAYOUT)


FOLDER = """
import json, sys
from pathlib import Path
from eegfm.corpora.config import TuhCorpus
from eegfm.jobs.acquire.acquire import acquire
from eegfm.jobs.acquire.config import AcquireParams, S3Source
S3Source(url="s3://bucket")
acquire(AcquireParams(), "mine", Path(sys.argv[1]), TuhCorpus())
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_other_sources_do_not_pay_for_s3(tmp_path: Path) -> None:
    (tmp_path / "a.edf").touch()
    done = run_python(FOLDER, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert not set(json.loads(done.stdout)) & {"s3fs", "botocore", "aiobotocore", "aiohttp", "fsspec", "torch", "mne"}
