"""Write files whole or not at all, and by one process at a time."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock


def write_atomically(path: Path, data: bytes) -> None:
    """Write in one step: a temporary file in the same folder, fsync, rename, fsync of the folder.

    The rename is atomic only within one file system, so the temporary file lies beside its target.

    Args:
        path: The file; its folder is made if absent.
        data: All bytes of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make a rename inside a folder survive a power loss, if the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def exclusive(lock: Path, busy: Callable[[str], Exception]) -> Iterator[None]:
    """Hold a lock file. The system releases it when this process ends, however it ends.

    Args:
        lock: The file; another file beside it names the process that holds the lock.
        busy: Makes the error for a second process, from words that name the first process and its machine.
    """
    owner, held = lock.with_name(f"{lock.name}.owner"), filelock.FileLock(lock, timeout=0)
    try:
        held.acquire()
    except filelock.Timeout as error:
        raise busy(owner.read_text() if owner.exists() else "another process") from error
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        held.release()
