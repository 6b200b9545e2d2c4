"""Compare a raw folder with the choice of a fetching source: existing and missing files.

Files that were not fetched, and files that are not chosen, are an error. Nothing is moved or overwritten, except that a
newer version of an object takes the place of the version that was fetched before.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from eegfm.corpora.base import Corpus
from eegfm.corpora.simulated.config import MANIFEST, UNFINISHED
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.fetched import FetchedFile, FetchRecord
from eegfm.jobs.acquire.selection import RemoteFile

_log = logging.getLogger(__name__)

_REMEDY = "move them away, or name another folder in the catalog"


@dataclass(frozen=True)
class Mirror:
    """The chosen files, beside those that a raw folder holds.

    Args:
        there: Chosen files that lie in their places in the listed version, by path.
        missing: Chosen files to be fetched.
    """

    there: Mapping[str, FetchedFile]
    missing: Sequence[RemoteFile]


def compare(folder: Path, record: FetchRecord | None, url: str, chosen: Sequence[RemoteFile], corpus: Corpus) -> Mirror:
    """Compare a raw folder with the chosen files. The record alone tells which files were fetched.

    Args:
        folder: The raw folder; the caller holds its lock.
        record: What was fetched into it before.
        url: Bucket and prefix.
        chosen: The files that shall be in the folder.
        corpus: Tells recordings.

    Raises:
        EegfmError: The folder holds files of other origin, files that changed since they were fetched, or recordings
            and fetched files that are not chosen.
    """
    files = record.files if record else {}
    paths = {file.path for file in chosen}
    _refuse_other_origin(folder, record, url)
    _refuse_links(folder, paths)
    _refuse_surplus(folder, paths, files.keys(), corpus, url)
    there: dict[str, FetchedFile] = {}
    missing: list[RemoteFile] = []
    foreign, replaced = [], []
    for file in chosen:
        place, known = folder / file.path, files.get(file.path)
        if not os.path.lexists(place):
            missing.append(file)
        elif known is None or not known.is_at(place):
            foreign.append(file.path)
        elif known.is_version_of(file):
            there[file.path] = known
        else:
            missing.append(file)
            replaced.append(file.path)
    if foreign:
        raise EegfmError(
            f"raw folder {folder} holds {len(foreign)} files that are not as they were fetched from {url}, e.g. "
            f"{foreign[0]}; nothing is overwritten: {_REMEDY}, and run again"
        )
    if replaced:
        _log.warning("%s: %d objects changed and are fetched again, e.g. %s", url, len(replaced), replaced[0])
    return Mirror(there, missing)


def _refuse_other_origin(folder: Path, record: FetchRecord | None, url: str) -> None:
    if record is not None and record.url != url:
        raise EegfmError(f"raw folder {folder} holds files from {record.url}, the source is {url}; {_REMEDY}")
    if record is None and ((folder / MANIFEST).exists() or (folder / UNFINISHED).exists()):
        raise EegfmError(f"raw folder {folder} holds SIMULATED recordings, the source is {url}; {_REMEDY}")


def _refuse_surplus(folder: Path, chosen: Set[str], fetched: Set[str], corpus: Corpus, url: str) -> None:
    """Recordings and fetched tables that are not chosen would be read along with those that are."""
    surplus = sorted(
        path
        for path in _visible_files(folder)
        if path not in chosen and (path in fetched or path.lower().endswith(corpus.suffixes))
    )
    if surplus:
        raise EegfmError(
            f"raw folder {folder} holds {len(surplus)} files that acquire.source does not choose from {url}, e.g. "
            f"{surplus[0]}; they would be read along: {_REMEDY}"
        )


def _visible_files(folder: Path) -> Iterator[str]:
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield (Path(top) / name).relative_to(folder).as_posix()


def _refuse_links(folder: Path, paths: Iterable[str]) -> None:
    """Nothing is written through a link inside the raw folder, which may lead out of it."""
    for parent in sorted({parent for path in paths for parent in PurePosixPath(path).parents if parent.name}):
        if (folder / parent).is_symlink():
            raise EegfmError(
                f"{folder / parent} is a link; files are fetched into real folders only: replace it by its folder"
            )
