"""Write folders whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eegfm.files import fsync_folder, naming


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, which replaces ``folder`` at the end, unless an error is raised.

    Args:
        folder: The target. Its old contents are removed at the end, and kept if an error is raised.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    new, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{what}") for what in ("tmp", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        for path in new.rglob("*"):
            _fsync(path)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    fsync_folder(folder.parent)


def _fsync(path: Path) -> None:
    """Bring a file to the disk before the folder gets its name. After a power loss it could be empty otherwise."""
    if path.is_file():
        with path.open("rb") as file, naming(path):
            os.fsync(file.fileno())
