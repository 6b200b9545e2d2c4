"""Errors of the operating system as one line: the path, the fault in plain words, and what to do."""

import errno
import os
import sys
from pathlib import Path

_ELSEWHERE = "write elsewhere with --params=data=FOLDER"
_SPACE = f"free space there, or {_ELSEWHERE}"
_RIGHTS = f"give this user the right, or {_ELSEWHERE}"
_LIMIT = "raise the limit"

_FAULTS = {
    "ENOSPC": ("its disk is full", _SPACE),
    "EDQUOT": ("the quota of its disk is used up", _SPACE),
    "EFBIG": ("the file would be larger than its disk or 'ulimit -f' allows", f"{_LIMIT}, or {_ELSEWHERE}"),
    "EROFS": ("its disk is read-only", f"make it writable, or {_ELSEWHERE}"),
    "EACCES": ("this user may not read or write here", _RIGHTS),
    "EPERM": ("the system does not permit this", _RIGHTS),
    "ENOTDIR": ("a file is where a folder is needed", f"move the file away, or {_ELSEWHERE}"),
    "EEXIST": ("a file is where a folder is needed", f"move the file away, or {_ELSEWHERE}"),
    "EISDIR": ("a folder is where a file is needed", f"move the folder away, or {_ELSEWHERE}"),
    "ENOTEMPTY": ("the folder holds files of another program", f"move them away, or {_ELSEWHERE}"),
    "ENAMETOOLONG": ("the name is longer than the file system allows", "choose shorter names"),
    "ELOOP": ("its links lead in a circle", "correct the links"),
    "EBUSY": ("another program uses it", "end that program"),
    "ETXTBSY": ("another program runs it", "end that program"),
    "EIO": ("its disk does not answer as it should", f"check the disk, or {_ELSEWHERE}"),
    "ESTALE": ("its network disk is gone", "connect the disk again"),
    "ETIMEDOUT": ("its network disk does not answer", "connect the disk again"),
    "ENOTCONN": ("its network disk is not connected", "connect the disk again"),
    "ENOLCK": ("its file system cannot lock files", _ELSEWHERE),
    "EMFILE": ("this program has too many files open", f"{_LIMIT}, see 'ulimit -n'"),
    "ENFILE": ("this machine has too many files open", f"{_LIMIT}, or end other programs"),
}
_NO_TEMPORARY = "No usable temporary directory found"  # of the standard library
_BY_NUMBER = {getattr(errno, name): fault for name, fault in _FAULTS.items() if hasattr(errno, name)}
_OF_ANY_FILE = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "EMFILE", "ENFILE")
    if hasattr(errno, name)
)
"""Faults that are never our mistake, even if the error names no file."""


def line_of(error: BaseException) -> str | None:
    """The line for a user who can mend the fault, or None for what may be a bug of this project.

    A file that does not exist is such a bug: what a user must provide is checked before it is opened. Other faults
    count if the error names a file, because errors of sockets and of processes have the same numbers.
    """
    if isinstance(error, UnicodeEncodeError):
        return _locale_line(error)
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.ENOENT and str(error.strerror).startswith(_NO_TEMPORARY):
        return f"{error.strerror}; free space there, or set TMPDIR to another folder"
    fault = _BY_NUMBER.get(error.errno or 0)
    path = _path(error)
    if fault is None or (path is None and error.errno not in _OF_ANY_FILE):
        return None
    what, remedy = fault
    if path is not None and error.errno in {errno.EEXIST, errno.ENOTDIR}:
        path = _in_the_way(path)
        if _is_folder(path):
            return None  # it is there already: a mistake of ours
        if path.is_symlink() and not path.exists():
            what, remedy = "the link leads nowhere", f"correct or remove the link, or {_ELSEWHERE}"
    where = f"{path}: " if path is not None else ""
    return f"{where}{what} ({error.strerror or os.strerror(error.errno or 0)}); {remedy}; finished work is kept"


def _locale_line(error: UnicodeEncodeError) -> str | None:
    """The line for a name that the locale cannot write, or that holds bytes of another encoding."""
    near = error.object[max(error.start - 40, 0) : error.end + 40]
    locale = sys.getfilesystemencoding()
    if error.encoding == locale != "utf-8":
        return f"{near}: the locale ({locale}) cannot name this file; set LC_ALL=C.UTF-8, and run again"
    if "surrogates" in error.reason:
        return f"{near}: this is no text in UTF-8; write it in UTF-8, and set LC_ALL=C.UTF-8 if the locale is another"
    return None


def _path(error: OSError) -> Path | None:
    """The file that the error is about. A rename names two, and the second is the one that was to be written."""
    for name in (error.filename2, error.filename):
        if isinstance(name, str | bytes | os.PathLike) and name:
            return Path(os.fsdecode(name))
    return None


def _in_the_way(path: Path) -> Path:
    """The first part of a path that is no folder."""
    for part in (*reversed(path.parents), path):
        if (part.exists() or part.is_symlink()) and not part.is_dir():
            return part
    return path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
