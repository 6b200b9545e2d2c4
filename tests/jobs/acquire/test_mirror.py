"""A raw folder beside the choice of a source: nothing of anybody's is overwritten, moved or read along."""

import logging
import os
from pathlib import Path

import pytest

from eegfm.corpora.base import Corpus
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.corpora.simulated.config import SimulatedTuh
from eegfm.corpora.simulated.writer import write_simulated
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.fetched import FetchedFile, FetchRecord
from eegfm.jobs.acquire.mirror import Mirror, compare
from eegfm.jobs.acquire.selection import RemoteFile
from s3_server import md5

URL = "s3://bucket/set"
CORPUS: Corpus = EdfFolderCorpus(pattern="{subject}/{run}.edf").build("mine")
TIME_NS = 1_600_000_000 * 10**9
PATHS = ["a/1.edf", "b/1.edf", "table.tsv"]


def remote(path: str, content: bytes = b"abc") -> RemoteFile:
    return RemoteFile(path, len(content), md5(content), TIME_NS)


def put(folder: Path, path: str, content: bytes = b"abc", mtime_ns: int = TIME_NS) -> Path:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    os.utime(place, ns=(mtime_ns, mtime_ns))
    return place


def known(*paths: str, content: bytes = b"abc") -> FetchRecord:
    return FetchRecord(URL, "choice", {p: FetchedFile.of(remote(p, content), md5(content)) for p in paths})


def look(folder: Path, record: FetchRecord | None, *chosen: RemoteFile) -> Mirror:
    return compare(folder, record, URL, chosen, CORPUS)


def test_all_is_missing_at_first(tmp_path: Path) -> None:
    chosen = [remote(p) for p in PATHS]
    assert look(tmp_path, None, *chosen) == Mirror({}, chosen)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in PATHS[:2]:
        put(tmp_path, path)
    record = known(*PATHS[:2])
    assert look(tmp_path, record, *(remote(p) for p in PATHS)) == Mirror(dict(record.files), [remote("table.tsv")])
    assert not caplog.messages


def test_changed_object_is_missing_and_the_old_one_stays_until_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = put(tmp_path, "a/1.edf")
    mirror = look(tmp_path, known("a/1.edf"), remote("a/1.edf", b"new"))
    assert [f.path for f in mirror.missing] == ["a/1.edf"]
    assert place.read_bytes() == b"abc"
    assert caplog.messages == [f"{URL}: 1 objects changed and are fetched again, e.g. a/1.edf"]


@pytest.mark.parametrize("content", [b"edited by hand", b"abd"])
def test_file_that_was_changed_here_is_not_overwritten(tmp_path: Path, content: bytes) -> None:
    place = put(tmp_path, "table.tsv", content, mtime_ns=7)
    for file in (remote("table.tsv"), remote("table.tsv", b"a newer version")):
        with pytest.raises(
            EegfmError, match=r"1 files that are not as .* e\.g\. table\.tsv; nothing is overwritten: move"
        ):
            look(tmp_path, known("table.tsv", "a/1.edf"), file, remote("a/1.edf"))
    assert place.read_bytes() == content


@pytest.mark.parametrize("content", [b"abd", b"abc"])
def test_file_without_a_record_was_not_fetched(tmp_path: Path, content: bytes) -> None:
    """Also where it has the right content: who put it there may need it."""
    place = put(tmp_path, "a/1.edf", content)
    with pytest.raises(EegfmError, match=r"1 files that are not as they were fetched from s3://bucket/set, e\.g\. a/1"):
        look(tmp_path, None, remote("a/1.edf"))
    assert place.read_bytes() == content


@pytest.mark.parametrize("path", ["b/1.edf", "table.tsv"])
def test_fetched_file_that_is_not_chosen_any_more_is_not_read_along(tmp_path: Path, path: str) -> None:
    for name in ("a/1.edf", path):
        put(tmp_path, name)
    with pytest.raises(
        EegfmError, match=rf"holds 1 files that acquire\.source does not choose from .* e\.g\. {path}; "
    ):
        look(tmp_path, known(*PATHS), remote("a/1.edf"))
    assert (tmp_path / path).read_bytes() == b"abc"
    (tmp_path / path).unlink()
    assert look(tmp_path, known(*PATHS), remote("a/1.edf")).missing == []


def test_recordings_of_other_origin_are_not_read_along(tmp_path: Path) -> None:
    put(tmp_path, "notes.txt")
    put(tmp_path, ".hidden/x.edf")
    put(tmp_path, "a/.x.edf")
    look(tmp_path, None, remote("a/1.edf"))
    put(tmp_path, "z/extra.EDF")
    with pytest.raises(
        EegfmError, match=r"holds 1 files that acquire\.source does not choose .* e\.g\. z/extra\.EDF; "
    ):
        look(tmp_path, None, remote("a/1.edf"))


def test_one_folder_has_one_origin(tmp_path: Path) -> None:
    with pytest.raises(EegfmError, match=r"holds files from s3://bucket/set, the source is s3://bucket/other"):
        compare(tmp_path, known("a/1.edf"), "s3://bucket/other", [], CORPUS)
    write_simulated(SimulatedTuh(n_subjects=1, duration_s=4), tmp_path)
    with pytest.raises(EegfmError, match=r"holds SIMULATED recordings, the source is s3://bucket/set"):
        look(tmp_path, None, remote("a/1.edf"))


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(EegfmError, match=r"raw/a is a link; files are fetched into real folders only"):
        look(folder, None, remote("a/deep/1.edf"))
    (folder / "a").unlink()
    (tmp_path / "link").symlink_to(folder)
    assert look(tmp_path / "link", None, remote("a/1.edf")).missing, "the raw folder itself may be one"


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="eegfm")
