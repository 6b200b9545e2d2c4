"""Detect the format of a file from its first bytes."""

import re
import stat
from pathlib import Path

from eegfm.errors import RecordingError

EDF_MAGIC = b"0       "

BDF_MAGIC = b"\xffBIOSEMI"

BRAINVISION_HEADER = re.compile(rb"(\xef\xbb\xbf)?\s*Brain ?Vision[\w -]* Header File", re.IGNORECASE)


_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def refuse_irregular(path: Path) -> None:
    """Refuse what has the name of a file and is none. Opening a pipe would wait for ever.

    Raises:
        RecordingError: A folder, pipe, socket or device lies there, or a link to one (``no_regular_file``).
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # opening it says what is wrong
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a folder")
        raise RecordingError(
            "no_regular_file",
            f"{path.name}: is {kind}, no regular file",
            "put the file itself there, or take this away",
        )


def first_bytes(path: Path, n_bytes: int) -> bytes:
    """Read the start of a file.

    Raises:
        RecordingError: The path does not exist, is no file or may not be read.
    """
    if not path.is_dir():
        refuse_irregular(path)
    try:
        with path.open("rb") as file:
            return file.read(n_bytes)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RecordingError("unreadable", f"{path}: {reason}", "check that the file is there and readable") from error


def looks_like_edf(start: bytes) -> bool:
    """True if a file starts like EDF or BDF (version field; NUL in place of blanks is common and harmless)."""
    version = start[:8].replace(b"\0", b" ")
    return len(version) == 8 and (version in {EDF_MAGIC, BDF_MAGIC})


def describe_start(start: bytes) -> str:
    """Describe the likely format of a file by its first bytes."""
    if not start:
        return "the file is empty"
    if not start.strip(b"\0"):
        return "the file starts with zero bytes only, as an unfinished download does"
    kinds = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"%PDF": "PDF"}
    for magic, name in kinds.items():
        if start.startswith(magic):
            return f"the file is {name} data"
    if start.lstrip()[:1] == b"<":
        return "the file is an HTML or XML page"
    return f"the file starts with {start[:8]!r}"


HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def is_matlab(start: bytes) -> bool:
    """True if a file starts like one of MATLAB's containers; needs its first 128 bytes."""
    return start.startswith(HDF5_MAGIC) or start[124:128] in {b"\x00\x01IM", b"\x01\x00MI", b"\x00\x02IM"}
