"""List the files of a raw folder. Links are followed, as far as that ends."""

from collections.abc import Iterator
from os import DirEntry, scandir, stat_result
from pathlib import Path

from eegfm.errors import EegfmError

MAX_LINKED_FOLDERS = 20_000
"""Most folders of a raw folder that are reached through links below it."""


def raw_files_below(root: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """List the files with one of the suffixes, without hidden ones.

    Yields:
        Posix path inside the folder, size and modification time.

    Raises:
        EegfmError: Links lead to each other.
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
        with scandir(root / folder) as found:
            for entry in found:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    inner = above[-1] / entry.name
                    real = inner.resolve() if entry.is_symlink() else inner
                    if real not in above:  # following a link to a folder above would never end
                        folders.append((path, (*above, real), is_linked or entry.is_symlink()))
                elif entry.name.lower().endswith(suffixes):
                    stat = _stat(entry)
                    yield path, stat.st_size, stat.st_mtime_ns


def is_utf8(path: str) -> bool:
    """Tell whether a path can be written as UTF-8, as tables, stores and checksums hold it."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _is_folder(entry: DirEntry[str]) -> bool:
    """Whether the path is a folder or a link to a folder. A circular link is no folder."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _stat(entry: DirEntry[str]) -> stat_result:
    """Status of the file, or of a dangling link. git-annex has links to content that is not fetched yet."""
    try:
        return entry.stat()
    except OSError:
        return entry.stat(follow_symlinks=False)
