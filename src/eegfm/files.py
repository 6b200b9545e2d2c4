"""Write files whole or not at all, and by one process at a time."""

import errno
import glob
import os
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of the errors that only writing raises: a full disk, a used quota, the largest size of a file."""


_TEMPORARY = ".{name}.{process}.tmp"


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write in one step: a temporary file in the same folder, fsync, rename, fsync of the folder.

    The rename is atomic only within one file system, so the temporary file lies beside its target.

    Args:
        path: The file; its folder is made if absent.
        data: All bytes of the file.
    """
    temporary = path.with_name(_TEMPORARY.format(name=path.name, process=os.getpid()))
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):  # the first error says more
                temporary.unlink(missing_ok=True)
            raise
        fsync_folder(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of this file that killed processes left. The caller knows that nobody writes it."""
    for leftover in path.parent.glob(_TEMPORARY.format(name=glob.escape(path.name), process="*")):
        leftover.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, numbers: Collection[int] | None = None) -> Iterator[None]:
    """Let an error of the operating system name this file. An error of an open file names none.

    Args:
        path: The file.
        numbers: The errors that are meant, e.g. ``DISK_FULL``; all by default.
    """
    try:
        yield
    except OSError as error:
        is_meant = error.errno is not None and (numbers is None or error.errno in numbers)
        if is_meant and (error.filename is None or Path(error.filename).name.startswith(f".{path.name}.")):
            error.filename = str(path)
        raise


def fsync_folder(folder: Path) -> None:
    """Make a rename inside a folder survive a power loss, if the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def exclusive(
    lock: Path, busy: Callable[[str], Exception], wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold a lock file. The system releases it when this process ends, however it ends.

    Args:
        lock: The file; another file beside it names the process that holds the lock.
        busy: Makes the error for a second process, from words that name the first process and its machine.
        wait: If given, the second process waits. It calls this with the same words first.
    """
    owner, held = lock.with_name(f"{lock.name}.owner"), filelock.FileLock(lock, timeout=0)
    try:
        with naming(lock):
            held.acquire()
    except filelock.Timeout as error:
        who = _owner(owner)
        if wait is None:
            raise busy(who) from error
        wait(who)
        held.acquire(timeout=-1)
    try:
        with naming(owner):
            owner.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        held.release()


def _owner(path: Path) -> str:
    """Return what the holder of a lock wrote about itself. It may be just about to write it."""
    try:
        return path.read_text(encoding="utf-8", errors="replace") or "another process"
    except OSError:
        return "another process"
