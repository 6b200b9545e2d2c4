"""List the files of a raw folder, with those that this user may not look at. Links are followed as far as that ends."""

import logging
from collections.abc import Iterator
from os import DirEntry, scandir
from pathlib import Path

from eegfm.errors import EegfmError

_log = logging.getLogger(__name__)

NOT_SEEN = -1
"""Size of a file or folder that this user may not look at. Its row has no subject, and conversion rejects it."""
PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
MAX_LINKED_FOLDERS = 20_000
"""Most folders of a raw folder that are reached through links below it."""


def raw_files_below(root: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """List the files with one of the suffixes, without hidden ones.

    A folder that cannot be read is such a file, too. Otherwise its recordings would be missing without a word.

    Yields:
        Posix path inside the folder, size and modification time.

    Raises:
        EegfmError: Links lead to each other.
        OSError: The folder itself cannot be read.
    """
    folders: list[tuple[str, tuple[Path, ...], bool]] = [("", (root.resolve(),), False)]
    n_linked = 0
    while folders:
        folder, above, is_linked = folders.pop()
        n_linked += is_linked
        if n_linked > MAX_LINKED_FOLDERS:
            # Links that lead to each other give more paths than anybody can list.
            raise EegfmError(
                f"{root}: links lead to more than {MAX_LINKED_FOLDERS} folders, e.g. {folder!r}; remove links to "
                "folders that link back"
            )
        try:
            with scandir(root / folder) as found:
                entries = list(found)
        except OSError as error:
            if not folder:
                raise
            _log.warning(
                "%s: the folder cannot be read (%s); it becomes a row of rejected", error.filename, error.strerror
            )
            yield folder, NOT_SEEN, 0
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith(".") or entry.name == "lost+found":
                continue
            if _is_folder(entry):
                inner = above[-1] / entry.name
                real = inner.resolve() if entry.is_symlink() else inner
                if real not in above:  # following a link to a folder above would never end
                    folders.append((path, (*above, real), is_linked or entry.is_symlink()))
            elif entry.name.lower().endswith(suffixes):
                yield path, *_size_and_time(entry)


def packed_files(root: Path) -> str:
    """Text for the end of a message about a folder without recordings: archives in it; "" if there are none."""
    found = sorted(path for path, *_ in raw_files_below(root, PACKED))
    return f" but archives ({len(found)}), e.g. {found[0]}: unpack them" if found else ""


def is_utf8(path: str) -> bool:
    """Tell whether a path can be written as UTF-8, as tables, stores and checksums hold it."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _is_folder(entry: DirEntry[str]) -> bool:
    """True if the path is a folder or a link to a folder. A circular link is no folder."""
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
