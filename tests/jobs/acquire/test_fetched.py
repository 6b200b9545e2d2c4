"""The record of fetched files, and who may fill a folder."""

import json
import os
import socket
from pathlib import Path

import pytest

from eegfm.corpora.manifest import KnownFile, read_manifest
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.fetched import (
    RECORD,
    FetchedFile,
    FetchRecord,
    append_to_record,
    check_complete,
    folder_lock,
    is_complete,
    md5_of,
    read_record,
    write_record,
)

A = FetchedFile("sub/a.edf", 3, "etag-a", 1_600_000_000 * 10**9, "900150983cd24fb0d6963f7d28e17f72")  # MD5 of "abc"
B = FetchedFile("b.tsv", 1, "etag-b", 1_700_000_000 * 10**9, "0" * 32)


def put(folder: Path, content: bytes = b"abc") -> Path:
    (folder / "sub").mkdir(exist_ok=True)
    (folder / A.path).write_bytes(content)
    os.utime(folder / A.path, ns=(A.mtime_ns, A.mtime_ns))
    return folder / A.path


def test_record_and_manifest_come_back(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    record = FetchRecord("s3://b", "choice", {A.path: A, B.path: B})
    write_record(tmp_path, record, [A.path])
    assert read_record(tmp_path) == record
    assert read_manifest(tmp_path) == {A.path: KnownFile(3, f"md5:{A.md5}")}, "only what is chosen is published"


def test_half_a_line_is_no_file(tmp_path: Path) -> None:
    write_record(tmp_path, FetchRecord("s3://b", "", {}), [])
    append_to_record(tmp_path, [A, B])
    whole = (tmp_path / RECORD).read_bytes()
    n_before = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for n_bytes in range(n_before, len(whole)):
        (tmp_path / RECORD).write_bytes(whole[:n_bytes])
        record = read_record(tmp_path)
        assert record is not None
        assert record.files == {A.path: A}
    (tmp_path / RECORD).write_bytes(whole)
    assert read_record(tmp_path) == FetchRecord("s3://b", "", {A.path: A, B.path: B})


@pytest.mark.parametrize("text", ["", "x\n", "[]\n", '{"version": 99, "url": "", "selection": ""}\n', "{}\n"])
def test_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(EegfmError, match=r"\.eegfm_s3\.jsonl is not a record of fetched files .*; fetch into another"):
        read_record(tmp_path)


def test_the_last_line_of_a_path_counts(tmp_path: Path) -> None:
    newer = FetchedFile(A.path, 4, "other", A.mtime_ns, A.md5)
    write_record(tmp_path, FetchRecord("s3://b", "", {A.path: A}), [])
    append_to_record(tmp_path, [newer])
    record = read_record(tmp_path)
    assert record is not None
    assert record.files == {A.path: newer}


def test_file_is_believed_by_size_and_time_or_by_its_bytes(tmp_path: Path) -> None:
    place = put(tmp_path)
    assert A.is_at(place)
    os.utime(place, ns=(5, 5))
    assert A.is_at(place), "copied without its time: the bytes are the same"
    assert place.stat().st_mtime_ns == A.mtime_ns, "and it has its time again"
    put(tmp_path, b"abd")
    os.utime(place, ns=(5, 5))
    assert not A.is_at(place)
    assert place.stat().st_mtime_ns == 5
    put(tmp_path, b"ab")
    assert not A.is_at(place)
    place.unlink()
    assert not A.is_at(place)
    (tmp_path / "elsewhere").write_bytes(b"abc")
    place.symlink_to(tmp_path / "elsewhere")
    assert not A.is_at(place), "a link is not the file that was fetched"


def test_complete_means_the_same_choice_and_every_size(tmp_path: Path) -> None:
    assert not is_complete(tmp_path, "choice")
    put(tmp_path)
    write_record(tmp_path, FetchRecord("s3://b", "choice", {A.path: A}), [A.path])
    assert is_complete(tmp_path, "choice")
    assert not is_complete(tmp_path, "other")
    put(tmp_path, b"ab")
    assert not is_complete(tmp_path, "choice")
    write_record(tmp_path, FetchRecord("s3://b", "", {A.path: A}), [A.path])
    assert not is_complete(tmp_path, "choice")


def test_folder_that_is_filled_in_part_is_refused(tmp_path: Path) -> None:
    check_complete(tmp_path)
    write_record(tmp_path, FetchRecord("s3://b/set", "", {}), [])
    with pytest.raises(EegfmError, match=r"fetching from s3://b/set was not finished; run once more .* source s3"):
        check_complete(tmp_path)
    write_record(tmp_path, FetchRecord("s3://b/set", "choice", {}), [])
    check_complete(tmp_path)


def test_one_process_fills_a_folder(tmp_path: Path) -> None:
    who = f"process {os.getpid()} on {socket.gethostname()} is fetching into"
    with folder_lock(tmp_path), pytest.raises(EegfmError, match=who), folder_lock(tmp_path):
        pass
    with folder_lock(tmp_path):
        pass


def test_md5(tmp_path: Path) -> None:
    assert md5_of(put(tmp_path)) == A.md5


HEAD = {"version": 1, "url": "s3://b/p", "selection": "x"}
ROW = {"path": "a/b.edf", "n_bytes": 3, "etag": "e", "mtime_ns": 1, "md5": "m"}


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "/etc/passwd"}, {"path": "../x.edf"}, {"path": "a/../../x.edf"}, {"path": "a//b"}, {"path": ""},
        {"path": "a\\b"}, {"path": "a\0b"}, {"path": "."}, {"path": ".eegfm_s3.jsonl"}, {"path": 3}, {"path": None},
        {"n_bytes": "3"}, {"n_bytes": -1}, {"n_bytes": 1.5}, {"n_bytes": True}, {"mtime_ns": "1"}, {"md5": []},
        {"etag": {}}, {"more": 1},
    ],
)  # fmt: skip
def test_a_record_that_somebody_else_wrote_leads_nowhere(tmp_path: Path, changed: dict[str, object]) -> None:
    (tmp_path / RECORD).write_text("".join(f"{json.dumps(row)}\n" for row in (HEAD, ROW, ROW | changed)))
    with pytest.raises(EegfmError, match=r"\.eegfm_s3\.jsonl is not a record of fetched files \(") as caught:
        read_record(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / RECORD).write_text("".join(f"{json.dumps(row)}\n" for row in (HEAD, ROW)))
    record = read_record(tmp_path)
    assert record is not None
    assert list(record.files) == ["a/b.edf"]


@pytest.mark.parametrize(
    "text",
    ["[" * 50_000 + "\n", '{"version": ' + "1" * 5000 + "}\n", json.dumps(HEAD | {"url": 3}) + "\n", "3\n", "\n"],
)
def test_a_record_that_json_cannot_say_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(EegfmError, match="is not a record of fetched files"):
        read_record(tmp_path)


def test_a_complete_folder_is_no_folder_behind_a_link(tmp_path: Path) -> None:
    folder, outside = tmp_path / "raw", tmp_path / "outside"
    outside.mkdir()
    folder.mkdir()
    (outside / "b.edf").write_bytes(b"abc")
    (folder / RECORD).write_text("".join(f"{json.dumps(row)}\n" for row in (HEAD, ROW)))
    (folder / "a").symlink_to(outside)
    assert not is_complete(folder, "x")
    (folder / "a").unlink()
    outside.rename(folder / "a")
    assert is_complete(folder, "x")
