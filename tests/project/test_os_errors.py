"""Errors of disks and rights are one line with the path, the fault and the remedy; mistakes of ours are none."""

import errno
import os
import resource
import sys
import tempfile
from pathlib import Path

import pytest
from kedro.io import DatasetError

from eegfm.files import write_atomically
from eegfm.project.console import one_line
from eegfm.project.os_errors import _FAULTS, line_of

ELSEWHERE = "write elsewhere with --params=data=FOLDER"


def raised(number: int, *names: object) -> OSError:
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize("name", _FAULTS)
def test_a_fault_names_path_and_remedy(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x" / "table.parquet"
    line = line_of(raised(getattr(errno, name), str(path)))
    assert line is not None
    what, remedy = _FAULTS[name]
    assert line == f"{path}: {what} ({os.strerror(getattr(errno, name))}); {remedy}; finished work is kept"


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO"])
def test_a_disk_is_no_bug_of_ours_even_without_a_path(name: str) -> None:
    assert line_of(raised(getattr(errno, name))) is not None


@pytest.mark.parametrize(
    "error",
    [
        raised(errno.ENOENT, "gone.txt"),
        raised(errno.EACCES),  # of a semaphore
        raised(errno.EEXIST, "/"),  # made twice
        raised(errno.ENOTCONN),  # of a socket
        raised(errno.EINVAL, "x"),
        OSError("no number"),
    ],
    ids=str,
)  # fmt: skip
def test_what_may_be_a_bug_of_ours_keeps_its_traceback(error: OSError) -> None:
    assert line_of(error) is None
    assert one_line(error) is None


def test_a_rename_names_the_file_that_was_to_be_written() -> None:
    line = line_of(raised(errno.ENOSPC, "/d/.t.parquet.7.tmp", None, "/d/t.parquet"))
    assert line is not None
    assert line.startswith("/d/t.parquet: its disk is full")


@pytest.mark.parametrize("name", [3, b"/d/\xff", "/d/\x1b[31m"])
def test_names_of_any_kind(name: object) -> None:
    line = one_line(raised(errno.ENOSPC, name))
    assert line is not None
    assert "\x1b" not in line
    assert line.isprintable()


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    for part in ("data/x.json", "data/05/x.json", "data/05/06/x.json"):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - it depends on the depth
            write_atomically(tmp_path / part, b"x")
        line = one_line(caught.value)
        assert line is not None
        assert line.startswith(f"{tmp_path}/data: a file is where a folder is needed (")
        assert line.endswith(f"); move the file away, or {ELSEWHERE}; finished work is kept")


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(OSError, match="directory") as caught:
        write_atomically(tmp_path / "x.json", b"x")
    line = one_line(caught.value)
    assert line is not None
    assert line.startswith(f"{tmp_path}/x.json: a folder is where a file is needed (")
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "unmounted")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number does not matter
        write_atomically(tmp_path / "data" / "x.json", b"x")
    line = one_line(caught.value)
    assert line is not None
    assert line.startswith(f"{tmp_path}/data: the link leads nowhere (")


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long") as caught:
        write_atomically(tmp_path / ("x" * 300), b"x")
    assert "the name is longer than the file system allows" in str(one_line(caught.value))


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    write_atomically(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            write_atomically(path, bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    line = one_line(caught.value)
    assert line is not None
    assert line.startswith(f"{path}: the file would be larger than")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_an_error_that_kedro_wrapped() -> None:
    error = DatasetError("Failed while saving data")
    error.__cause__ = raised(errno.ENOSPC, "/d/x")
    assert str(one_line(error)).startswith("/d/x: its disk is full")


def test_no_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "gone")])
    with pytest.raises(FileNotFoundError) as caught:
        tempfile.gettempdir()
    line = one_line(caught.value)
    assert line is not None
    assert str(tmp_path / "gone") in line
    assert line.endswith("; free space there, or set TMPDIR to another folder")


def test_a_name_that_the_locale_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    error = UnicodeEncodeError("ascii", "/d/Müller", 4, 5, "ordinal not in range(128)")
    assert one_line(error) is None  # a mistake of ours where the locale is UTF-8
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    assert one_line(error) == ("/d/Müller: the locale (ascii) cannot name this file; set LC_ALL=C.UTF-8, and run again")


def test_text_that_is_no_utf8() -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        "data=/d/M\udcfcller".encode()
    assert one_line(caught.value) == (
        r"data=/d/M\udcfcller: this is no text in UTF-8; write it in UTF-8, and set LC_ALL=C.UTF-8 if the locale is "
        "another"
    )
