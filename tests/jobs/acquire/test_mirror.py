"""What lies in a raw folder against what shall lie there: nothing of anybody's is lost."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from eegfm.corpora.base import Corpus
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.corpora.simulated.config import SimulatedTuh
from eegfm.corpora.simulated.writer import write_simulated
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.fetched import FetchedFile, FetchRecord
from eegfm.jobs.acquire.mirror import ASIDE, Mirror, arrange
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


def look(folder: Path, record: FetchRecord | None, chosen: list[RemoteFile], listed: set[str] | None = None) -> Mirror:
    return arrange(folder, record, URL, {f.path for f in chosen} | (listed or set()), chosen, CORPUS)


def test_all_is_missing_at_first(tmp_path: Path) -> None:
    chosen = [remote(p) for p in PATHS]
    mirror = look(tmp_path, None, chosen)
    assert (mirror.there, mirror.missing, mirror.is_new) == (set(), chosen, True)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in PATHS[:2]:
        put(tmp_path, path)
    mirror = look(tmp_path, known(*PATHS[:2]), [remote(p) for p in PATHS])
    assert (mirror.there, [f.path for f in mirror.missing], mirror.is_new) == (set(PATHS[:2]), ["table.tsv"], False)
    assert not caplog.messages


def test_changed_object_is_missing_and_the_old_one_stays_until_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = put(tmp_path, "a/1.edf")
    mirror = look(tmp_path, known("a/1.edf"), [remote("a/1.edf", b"new")])
    assert [f.path for f in mirror.missing] == ["a/1.edf"]
    assert place.read_bytes() == b"abc"
    assert caplog.messages == [f"{URL}: 1 objects changed and are fetched again, e.g. a/1.edf"]


def test_file_that_was_changed_here_is_kept_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "table.tsv", b"edited by hand", mtime_ns=7)
    mirror = look(tmp_path, known("table.tsv", "a/1.edf"), [remote("table.tsv"), remote("a/1.edf")])
    assert [f.path for f in mirror.missing] == ["table.tsv", "a/1.edf"]
    assert (tmp_path / ASIDE / "table.tsv").read_bytes() == b"edited by hand"
    assert not (tmp_path / "table.tsv").exists()
    assert len(caplog.messages) == 1
    assert "1 files differ from what was fetched and are fetched again, e.g. table.tsv; moved to" in caplog.text
    put(tmp_path, "table.tsv", b"edited once more", mtime_ns=8)
    look(tmp_path, known("table.tsv", "a/1.edf"), [remote("table.tsv"), remote("a/1.edf")])
    assert (tmp_path / ASIDE / "table.tsv").read_bytes() == b"edited by hand"
    assert (tmp_path / ASIDE / "table.tsv.1").read_bytes() == b"edited once more"


def test_folder_mirrors_the_choice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is not chosen any more is not read any more, and not lost; chosen again, it comes back without a bucket."""
    for path in PATHS:
        put(tmp_path, path)
    mirror = look(tmp_path, known(*PATHS), [remote("a/1.edf")], listed={"b/1.edf"})
    assert (mirror.there, mirror.missing, mirror.is_new) == ({"a/1.edf"}, [], True)
    assert sorted(mirror.record.files) == PATHS
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*") if p.is_file()) == [
        ".eegfm_aside/b/1.edf",
        ".eegfm_aside/table.tsv",
        "a/1.edf",
    ]
    assert [m.split("; ")[0].split(": ")[1] for m in caplog.messages] == [
        "1 files are not chosen any more, e.g. b/1.edf",
        f"1 files are gone from {URL}, e.g. table.tsv",
    ]
    mirror = look(tmp_path, mirror.record, [remote(p) for p in PATHS])
    assert (mirror.there, mirror.missing) == (set(PATHS), [])
    assert all((tmp_path / p).read_bytes() == b"abc" for p in PATHS)


def test_other_version_does_not_come_back(tmp_path: Path) -> None:
    put(tmp_path, f"{ASIDE}/a/1.edf", b"abd", mtime_ns=9)
    mirror = look(tmp_path, known("a/1.edf"), [remote("a/1.edf")])
    assert len(mirror.missing) == 1
    put(tmp_path, f"{ASIDE}/b/1.edf")
    mirror = look(tmp_path, known("b/1.edf"), [remote("b/1.edf", b"new")])
    assert len(mirror.missing) == 1


def test_file_that_was_fetched_by_other_means_is_taken_by_its_checksum(tmp_path: Path) -> None:
    place = put(tmp_path, "a/1.edf", mtime_ns=3)
    mirror = look(tmp_path, None, [remote("a/1.edf")])
    assert (mirror.there, mirror.missing, mirror.is_new) == ({"a/1.edf"}, [], True)
    assert mirror.record.files["a/1.edf"].md5 == remote("a/1.edf").etag
    assert place.stat().st_mtime_ns == TIME_NS


@pytest.mark.parametrize(
    ("path", "content", "etag"),
    [("a/1.edf", b"abd", ""), ("a/1.edf", b"ab", ""), ("a/1.edf", b"abc", "x" * 32 + "-2"), ("table.tsv", b"mine", "")],
)
def test_file_of_other_origin_is_never_overwritten(tmp_path: Path, path: str, content: bytes, etag: str) -> None:
    place = put(tmp_path, path, content)
    file = replace(remote(path), etag=etag or remote(path).etag)
    with pytest.raises(EegfmError, match=f"holds {path}, which was not fetched from .* nothing is overwritten"):
        look(tmp_path, None, [file])
    assert place.read_bytes() == content


def test_recordings_of_other_origin_are_not_read_along(tmp_path: Path) -> None:
    put(tmp_path, "notes.txt")
    put(tmp_path, ".hidden/x.edf")
    put(tmp_path, "a/.x.edf")
    look(tmp_path, None, [remote("a/1.edf")])
    put(tmp_path, "z/extra.EDF")
    with pytest.raises(EegfmError, match=r"holds z/extra\.EDF, which was not fetched from s3://bucket/set; .*mirrors"):
        look(tmp_path, None, [remote("a/1.edf")])


def test_one_folder_has_one_origin(tmp_path: Path) -> None:
    with pytest.raises(EegfmError, match=r"holds files from s3://bucket/set, the source is s3://bucket/other"):
        arrange(tmp_path, known("a/1.edf"), "s3://bucket/other", set(), [], CORPUS)
    write_simulated(SimulatedTuh(n_subjects=1, duration_s=4), tmp_path)
    with pytest.raises(EegfmError, match=r"holds SIMULATED recordings, the source is s3://bucket/set"):
        look(tmp_path, None, [remote("a/1.edf")])


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(EegfmError, match=r"raw/a is a link; files are fetched into real folders only"):
        look(folder, None, [remote("a/deep/1.edf")])
    (folder / "a").unlink()
    (tmp_path / "link").symlink_to(folder)
    assert look(tmp_path / "link", None, [remote("a/1.edf")]).missing, "the raw folder itself may be one"


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="eegfm")
