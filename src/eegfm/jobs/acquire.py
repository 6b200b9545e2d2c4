"""Make the raw files of a corpus present: write simulated ones, or check that a folder is there."""

import logging
from pathlib import Path

from eegfm.corpora.config import AcquireParams, FolderSource
from eegfm.corpora.simulated.config import MANIFEST
from eegfm.errors import EegfmError

_log = logging.getLogger(__name__)


def is_simulated(folder: Path) -> bool:
    """Whether a raw folder was written by the simulator, whatever the configuration calls it."""
    return (folder / MANIFEST).is_file()


def acquire(params: AcquireParams, corpus: str, folder: Path) -> Path:
    """Provide the raw folder of a corpus.

    Args:
        params: Where the files come from.
        corpus: Its name, for messages.
        folder: Where they are or shall be.

    Returns:
        The folder.

    Raises:
        EegfmError: The source is a folder and it is missing, or simulated files would overwrite others.
    """
    if isinstance(params.source, FolderSource):
        if not folder.is_dir():
            raise EegfmError(
                f"{corpus}: raw folder {folder} does not exist; point the catalog entries "
                f"{corpus}.raw_folder and {corpus}.raw (or the environment variable that they read) at the recordings"
            )
        return folder
    from eegfm.corpora.simulated.writer import is_current, write_simulated

    if not is_current(params.source, folder):
        _log.info("%s: writing SIMULATED recordings to %s", corpus, folder)
        write_simulated(params.source, folder)
    return folder
