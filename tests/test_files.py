"""Files are written whole or not at all."""

import os
from pathlib import Path

import pytest

from eegfm.files import fsync_folder, write_atomically


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
