"""Warn of side files that belong to no recording. A misspelt name would lose all events silently."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from eegfm.corpora.bids_sidecars import NOT_RAW

_log = logging.getLogger(__name__)

_PARTICIPANTS = "participants.tsv"
_ENDINGS = ("events.tsv", "channels.tsv", "eeg.json", _PARTICIPANTS)
"""Suffixes in lower case. A side file in another case is not found by its recording, so it must be reported."""
_OTHER_FOLDERS = NOT_RAW | {"anat", "beh", "dwi", "fmap", "func", "ieeg", "meg", "motion", "nirs", "perf", "pet"}


def say_unused(root: Path, recordings: Iterable[str], sidecars: Callable[[str], Iterable[str]]) -> None:
    """Warn of side files that belong to no recording of the folder.

    Args:
        root: The raw folder.
        recordings: Paths of all raw files in the folder.
        sidecars: Paths of the side files of a recording, even if they do not exist.
    """
    unused = set(_side_files(root))
    for path in recordings:
        unused.difference_update(sidecars(path))
    if unused:
        n_of = Counter(next(ending for ending in _ENDINGS if path.lower().endswith(ending)) for path in unused)
        counts = ", ".join(f"{ending} {n}" for ending, n in sorted(n_of.items()))
        _log.warning(
            "%s: %d side files belong to no recording and are not read (%s), e.g. %s; the name must be that of the "
            "recording to the letter, and the recording must be there",
            *(root, len(unused), counts, _printed(min(unused))),
        )


def _printed(path: str) -> str:
    """A path that a log can write, also where its bytes are no UTF-8."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _side_files(root: Path) -> Iterator[str]:
    """Posix paths inside the folder, without folders that hold no raw EEG."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _OTHER_FOLDERS and not name.startswith(".")]
        inside = Path(folder).relative_to(root)
        for name in names:
            # The participants table is read for a single data set and for several data sets beside each other.
            is_table = name == _PARTICIPANTS and len(inside.parts) <= 1
            if name.lower().endswith(_ENDINGS) and not is_table and not name.startswith("."):
                yield (inside / name).as_posix()
