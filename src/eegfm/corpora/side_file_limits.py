"""Limits of side files: what is no regular file is not opened, and what no recording explains is not read whole."""

import stat
from pathlib import Path

from eegfm.signal.pointers import refuse_pointer
from eegfm.signal.sniff import refuse_irregular

MAX_TABLE_BYTES = 128 << 20
"""A table of a million persons or events has a third of it."""
MAX_JSON_BYTES = 16 << 20
MAX_COLUMNS = 1000
MAX_CELLS = 2 * 10**7


def is_there(path: Path) -> bool:
    """Tell whether a side file exists. A link to nothing is no file.

    Raises:
        RecordingError: Something else than a file has its name: a folder, a pipe, a device (``no_regular_file``), or
            its content was not fetched (``not_fetched``).
    """
    refuse_pointer(path)
    if path.is_file():
        return True
    refuse_irregular(path)
    return False


def check_bytes(path: Path, max_bytes: int = MAX_TABLE_BYTES) -> None:
    """Refuse a side file that is no regular file or too large, before it is opened.

    Raises:
        ValueError: It is; the message names size and limit.
        OSError: The file does not exist.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    if status.st_size > max_bytes:
        raise ValueError(f"it has {status.st_size} bytes, at most {max_bytes} are read")


def check_shape(n_columns: int, n_lines: int) -> None:
    """Refuse a table with more columns or cells than any published table has.

    Raises:
        ValueError: It has; the message names both numbers.
    """
    if n_columns > MAX_COLUMNS:
        raise ValueError(f"it has {n_columns} columns, at most {MAX_COLUMNS} are read")
    if n_columns * n_lines > MAX_CELLS:
        raise ValueError(f"it has {n_columns} columns and {n_lines} lines, at most {MAX_CELLS} cells are read")
