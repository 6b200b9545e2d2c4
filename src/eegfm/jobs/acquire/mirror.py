"""What of a fetching source's choice lies in the raw folder, and what lies there beside it.

Only a newer version of an object takes the place of an older one. Nothing else is overwritten, and nothing is deleted:
files that are not chosen any more, and fetched files that were changed on this machine, are moved to
``.eegfm_aside``, which no reader looks into.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from eegfm.corpora.base import Corpus
from eegfm.corpora.simulated.config import MANIFEST, UNFINISHED
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.fetched import FetchedFile, FetchRecord, is_regular, md5_of
from eegfm.jobs.acquire.selection import RemoteFile

_log = logging.getLogger(__name__)

ASIDE = ".eegfm_aside"


@dataclass(frozen=True)
class Mirror:
    """A raw folder beside what shall be in it.

    Args:
        record: All files that were ever fetched.
        there: Paths of the chosen files that lie in their places.
        missing: Chosen files to be fetched.
        is_new: Whether the record or the folder changed while this was found out.
    """

    record: FetchRecord
    there: Set[str]
    missing: Sequence[RemoteFile]
    is_new: bool


def arrange(
    folder: Path, record: FetchRecord | None, url: str, listed: Set[str], chosen: Sequence[RemoteFile], corpus: Corpus
) -> Mirror:
    """Compare a raw folder with what is chosen, and move aside what does not belong there.

    Args:
        folder: The raw folder; the caller holds its lock.
        record: What was fetched into it before.
        url: Bucket and prefix.
        listed: Paths of all objects that the bucket holds.
        chosen: The files that shall be in the folder.
        corpus: Tells recordings.

    Raises:
        EegfmError: The folder holds recordings of other origin.
    """
    files = dict(record.files) if record else {}
    paths = {file.path for file in chosen}
    _refuse_other_origin(folder, record, url)
    _refuse_links(folder, paths)
    _refuse_foreign_recordings(folder, paths | files.keys(), corpus, url)
    there: set[str] = set()
    missing: list[RemoteFile] = []
    adopted: dict[str, FetchedFile] = {}
    for file in chosen:
        place, known = folder / file.path, files.get(file.path)
        if known is None and os.path.lexists(place):
            adopted[file.path] = _adopted(folder, file, url)
        elif known is None or not known.is_version_of(file) or not _is_in_place(folder, known):
            missing.append(file)
            continue
        there.add(file.path)
    present = [files[f.path] for f in missing if f.path in files and os.path.lexists(folder / f.path)]
    edited = [known.path for known in present if not known.is_at(folder / known.path)]
    replaced = sorted({known.path for known in present} - set(edited))
    if replaced:
        _log.warning("%s: %d objects changed and are fetched again, e.g. %s", url, len(replaced), replaced[0])
    surplus = [path for path in files.keys() - paths if os.path.lexists(folder / path)]
    _set_aside(folder, edited, "differ from what was fetched and are fetched again")
    _set_aside(folder, [p for p in surplus if p in listed], "are not chosen any more")
    _set_aside(folder, [p for p in surplus if p not in listed], f"are gone from {url}")
    return Mirror(
        record=FetchRecord(url, record.selection if record else "", {**files, **adopted}),
        there=there,
        missing=missing,
        is_new=record is None or bool(adopted or edited or surplus),
    )


def _refuse_other_origin(folder: Path, record: FetchRecord | None, url: str) -> None:
    remedy = "name another folder in the catalog, or move these files away"
    if record is not None and record.url != url:
        raise EegfmError(f"raw folder {folder} holds files from {record.url}, the source is {url}; {remedy}")
    if record is None and ((folder / MANIFEST).exists() or (folder / UNFINISHED).exists()):
        raise EegfmError(f"raw folder {folder} holds SIMULATED recordings, the source is {url}; {remedy}")


def _adopted(folder: Path, file: RemoteFile, url: str) -> FetchedFile:
    """A file that someone fetched by other means, taken as ours where its checksum proves it.

    Raises:
        EegfmError: Nothing proves it.
    """
    place = folder / file.path
    if is_regular(place) and place.stat().st_size == file.n_bytes and md5_of(place) == file.md5:
        os.utime(place, ns=(file.mtime_ns, file.mtime_ns))
        return FetchedFile.of(file, file.md5)
    raise EegfmError(
        f"raw folder {folder} holds {file.path}, which was not fetched from {url} and is not known to be the same; "
        "nothing is overwritten: name another folder in the catalog, or move this file away"
    )


def _is_in_place(folder: Path, known: FetchedFile) -> bool:
    """Whether a fetched file lies in its place, or could be put back there from where it had been set aside."""
    place, aside = folder / known.path, folder / ASIDE / known.path
    if known.is_at(place):
        return True
    if os.path.lexists(place) or not known.is_at(aside):
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    aside.rename(place)
    return True


def _refuse_foreign_recordings(folder: Path, known: Set[str], corpus: Corpus, url: str) -> None:
    """Recordings that nobody chose would be read along with those that were."""
    for path in _visible_files(folder):
        if path.lower().endswith(corpus.suffixes) and path not in known:
            raise EegfmError(
                f"raw folder {folder} holds {path}, which was not fetched from {url}; the folder mirrors what "
                "acquire.source chooses: name another folder in the catalog, or move this file away"
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


def _set_aside(folder: Path, paths: Sequence[str], why: str) -> None:
    if not paths:
        return
    for path in paths:
        (folder / path).rename(_free_place(folder / ASIDE / path))
    _log.warning("%s: %d files %s, e.g. %s; moved to %s", folder, len(paths), why, min(paths), folder / ASIDE)


def _free_place(place: Path) -> Path:
    """The place itself, or with a number behind it where something lies there already."""
    place.parent.mkdir(parents=True, exist_ok=True)
    number, free = 0, place
    while os.path.lexists(free):
        number += 1
        free = place.with_name(f"{place.name}.{number}")
    return free
