"""List the files of a raw folder, with those that this user may not look at."""

import logging
from collections.abc import Iterator
from os import DirEntry, scandir
from pathlib import Path

from eegfm.errors import EegfmError

_log = logging.getLogger(__name__)

NOT_SEEN = -1
"""Size of a file or folder that this user may not look at. Its row has no subject, and conversion rejects it."""


def files(root: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """Posix path inside root, size and modification time of each file with one of the suffixes.

    A folder that cannot be read is such a file, too. Otherwise its recordings would be missing without a word.
    """
    folders: list[tuple[str, tuple[Path, ...]]] = [("", (root.resolve(),))]
    while folders:
        folder, above = folders.pop()
        try:
            with scandir(root / folder) as found:
                entries = list(found)
        except OSError as error:
            if not folder:
                raise
            _log.warning(
                "%s: the folder cannot be read (%s); it becomes a row of rejected", error.filename, error.strerror
            )
            _check_name(root, folder)
            yield folder, NOT_SEEN, 0
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith(".") or entry.name == "lost+found":
                continue
            if _is_folder(entry):
                real = Path(entry.path).resolve()
                if real not in above:  # following a link to a folder above would never end
                    folders.append((path, (*above, real)))
            elif entry.name.lower().endswith(suffixes):
                _check_name(root, path)
                yield path, *_size_and_time(entry)


def _check_name(root: Path, path: str) -> None:
    """Tables, stores and checksums hold names as UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise EegfmError(f"{root}: {path!r} is no name in UTF-8; rename the file or its folder") from error


def _is_folder(entry: DirEntry[str]) -> bool:
    """Whether the path is a folder or a link to a folder. A circular link is no folder."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _size_and_time(entry: DirEntry[str]) -> tuple[int, int]:
    """Of the file, or of a dangling link. git-annex has links to content that is not fetched yet."""
    for follow_symlinks in (True, False):
        try:
            stat = entry.stat(follow_symlinks=follow_symlinks)
        except OSError:
            continue
        return stat.st_size, stat.st_mtime_ns
    return NOT_SEEN, 0
