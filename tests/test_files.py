"""Files are written whole or not at all."""

import errno
import os
import threading
from pathlib import Path

import pytest

from eegfm.files import DISK_FULL, exclusive, fsync_folder, naming, write_atomically


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.bin"
    write_atomically(path, b"one")
    write_atomically(path, b"two\0three")
    assert path.read_bytes() == b"two\0three"
    assert [p.name for p in path.parent.iterdir()] == ["x.bin"]


def test_failure_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.bin"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_data_reach_the_disk_before_the_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"
        steps.append(f"fsync {kind}")
        fsync(descriptor)

    def replaced(path: Path, target: Path) -> Path:
        steps.append("rename")
        assert path.parent == target.parent, "a rename is atomic only inside one file system"
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_atomically(tmp_path / "x", b"data")
    expected = ["fsync file", "rename", "fsync folder"]
    assert steps == expected if Path("/proc/self/fd").is_dir() else len(steps) == 3


def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    fsync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        fsync_folder(tmp_path / "gone")


def test_an_error_names_the_file_if_it_names_none(tmp_path: Path) -> None:
    for named, shown in ((None, tmp_path / "x"), (str(tmp_path / ".x.7.tmp"), tmp_path / "x"), ("other", "other")):
        with pytest.raises(OSError, match="full") as caught, naming(tmp_path / "x"):
            raise OSError(errno.ENOSPC, "full", named)
        assert caught.value.filename == str(shown)
    with pytest.raises(OSError, match="gone") as caught, naming(tmp_path / "x", DISK_FULL):
        raise OSError(errno.EIO, "gone")
    assert caught.value.filename is None


def test_a_second_process_is_told_who_is_first(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with exclusive(lock, ValueError):
        with pytest.raises(ValueError, match=f"process {os.getpid()} on "), exclusive(lock, ValueError):
            raise AssertionError("not reached")
        (tmp_path / "lock.owner").unlink()
        with pytest.raises(ValueError, match="another process"), exclusive(lock, ValueError):
            raise AssertionError("not reached")
    with exclusive(lock, ValueError):
        pass


def test_a_second_process_may_wait(tmp_path: Path) -> None:
    lock, waits_for, steps = tmp_path / "lock", list[str](), list[str]()

    def second() -> None:
        with exclusive(lock, ValueError, waits_for.append):
            steps.append("second")

    with exclusive(lock, ValueError):
        thread = threading.Thread(target=second)
        thread.start()
        while not waits_for:
            thread.join(0.01)
        steps.append("first")
    thread.join()
    assert steps == ["first", "second"]
    assert waits_for[0].startswith(f"process {os.getpid()} on ")


def test_a_lock_that_cannot_be_written_is_free_again(tmp_path: Path) -> None:
    (tmp_path / "lock.owner").mkdir()
    with pytest.raises(IsADirectoryError), exclusive(tmp_path / "lock", ValueError):
        raise AssertionError("not reached")
    (tmp_path / "lock.owner").rmdir()
    with exclusive(tmp_path / "lock", ValueError):
        pass
