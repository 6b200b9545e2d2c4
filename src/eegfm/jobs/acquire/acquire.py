"""Provide the raw files of a corpus: simulate them, fetch them, or check that their folder exists."""

import logging
from pathlib import Path

from eegfm.corpora.config import CorpusConfig
from eegfm.corpora.simulated.config import MANIFEST, UNFINISHED, SimulatedConfig
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.config import AcquireParams, FolderSource, S3Source
from eegfm.jobs.acquire.fetched import check_complete

_log = logging.getLogger(__name__)


def is_simulated(folder: Path) -> bool:
    """True if a raw folder was written by the simulator, wholly or in part, whatever the configuration calls it."""
    return (folder / MANIFEST).is_file() or (folder / UNFINISHED).is_file()


def acquire(params: AcquireParams, corpus: str, folder: Path, layout: CorpusConfig) -> Path:
    """Provide the raw folder of a corpus.

    Args:
        params: Source of the files.
        corpus: Name of the corpus for messages.
        folder: The raw folder.
        layout: Layout of the folder. A fetching source uses it to recognise recordings and subjects.

    Returns:
        The folder.

    Raises:
        EegfmError: The source is a folder and it is missing or filled in part, simulated files would overwrite others,
            or files cannot be fetched.
    """
    match params.source:
        case FolderSource():
            check_folder(corpus, folder)
        case S3Source():
            from eegfm.jobs.acquire.fetch import fetch

            fetch(params.source, layout, corpus, folder)
        case _:
            _simulate(params.source, corpus, folder)
    return folder


def check_folder(corpus: str, folder: Path) -> None:
    """Check that a raw folder exists, can be read and is not empty.

    Raises:
        EegfmError: A check fails; the message names the catalog entries.
    """
    try:
        found = _fault(folder)
    except PermissionError as error:
        found = f"cannot be read ({error.strerror})"
    if found:
        raise EegfmError(
            f"{corpus}: raw folder {folder} {found}; point the catalog entries "
            f"{corpus}.raw_folder and {corpus}.raw (or the environment variable that they read) at the recordings"
        )
    check_complete(folder)
    if (folder / UNFINISHED).is_file():
        raise EegfmError(
            f"{corpus}: raw folder {folder} holds SIMULATED recordings that are not finished; wait for the run that "
            f"writes them, or run once more with the source that began it"
        )


def _fault(folder: Path) -> str:
    if not folder.exists():
        return "does not exist"
    if not folder.is_dir():
        return "is no folder"
    # Ignore hidden files of the system or of tools. They are no recordings.
    return "" if any(not path.name.startswith(".") for path in folder.iterdir()) else "is empty"


def _simulate(source: SimulatedConfig, corpus: str, folder: Path) -> None:
    from eegfm.corpora.simulated.writer import is_current, write_simulated

    if not is_current(source, folder):
        _log.info("%s: writing SIMULATED recordings to %s", corpus, folder)
        write_simulated(source, folder)
