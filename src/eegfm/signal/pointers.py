"""Find files that stand for content that was not fetched, as in a cloned data set of DataLad, git-annex or Git LFS."""

import re
import shlex
from pathlib import Path

from eegfm.errors import RecordingError

NOT_FETCHED = "not_fetched"
"""Code of the error. The file is tried again at the next run."""
_LOOKED_AT_BYTES = 256
# An unlocked file of git-annex holds the first text. A link holds the second, where the file system has no links and
# git writes the target of a link as text.
_ANNEX = re.compile(rb"/annex/objects/|(?:\.\.[/\\])*\.git[/\\]annex[/\\]objects[/\\]")
_LFS = re.compile(rb"version https://(?:git-lfs\.github|hawser\.github)\.com/spec/")


def is_there(path: Path) -> bool:
    """True if a file exists.

    Raises:
        RecordingError: It stands for content that was not fetched (``not_fetched``).
    """
    refuse_pointer(path)
    return path.is_file()


def refuse_pointer(path: Path) -> None:
    """Refuse a file that stands for content that was not fetched. A missing or unreadable file is no such file.

    Raises:
        RecordingError: ``not_fetched``, with the command that fetches the content.
    """
    keeper = _keeper(path)
    if keeper is None:
        return
    get = f"datalad get {shlex.quote(str(path))}" if keeper == "git-annex" else "git lfs pull"
    other = "`git annex get` does the same" if keeper == "git-annex" else "in its repository"
    raise RecordingError(
        NOT_FETCHED,
        f"{path.name}: names its content and does not hold it; {keeper} has not fetched the content",
        f"fetch it with `{get}` ({other}), then run again",
    )


def _keeper(path: Path) -> str | None:
    """The program that keeps the content elsewhere; None for any other file."""
    try:
        if path.is_symlink() and not path.exists():
            return "git-annex" if "annex/objects/" in path.readlink().as_posix() else None
        if not path.is_file():
            return None
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT_BYTES)
    except OSError:
        return None  # opening the file raises the error
    if _ANNEX.match(start):
        return "git-annex"
    return "Git LFS" if _LFS.match(start) else None
