"""Select the files of a bucket: patterns, the first subjects, and only paths that are safe to write."""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from eegfm.corpora.base import Corpus
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.config import S3Source

_log = logging.getLogger(__name__)

OWN_PREFIX = ".eegfm_"
"""Names in the root of a raw folder that are our own: manifest, record, lock, parts."""

_SEPARATORS = re.compile(r"[/_.\\]")


@dataclass(frozen=True)
class RemoteFile:
    """One object of a bucket.

    Args:
        path: Posix path below the prefix, and inside the raw folder.
        n_bytes: Size in bytes.
        etag: Identity of the content, without quotes.
        mtime_ns: Time of the last write, in whole seconds.
    """

    path: str
    n_bytes: int
    etag: str
    mtime_ns: int

    @property
    def md5(self) -> str:
        """The ETag if it has the form of an MD5. Objects in several parts, for example, have another form."""
        return self.etag if re.fullmatch(r"[0-9a-f]{32}", self.etag) else ""


def select(files: Sequence[RemoteFile], source: S3Source, corpus: Corpus) -> list[RemoteFile]:
    """Choose files by path.

    Args:
        files: All objects below the source's prefix.
        source: Patterns and number of subjects.
        corpus: Corpus that recognises recordings and their subjects.

    Returns:
        The chosen files in path order, at least one recording among them.

    Raises:
        EegfmError: The list is empty, nothing matches, no match is a recording, or a path is not safe to write.
    """
    if not files:
        raise EegfmError(f"{source.url} holds no object; correct acquire.source.url")
    chosen = [f for f in files if _matches(f.path, source.include) and not _matches(f.path, source.exclude)]
    if not chosen:
        raise EegfmError(
            f"none of the {len(files)} objects of {source.url} is chosen by include={list(source.include)} "
            f"exclude={list(source.exclude)}; there are, e.g., {_examples(files)}"
        )
    _warn_of_idle_patterns(files, source)
    _check_paths([f.path for f in chosen], source)
    subjects = _subjects(chosen, corpus)
    if not subjects:
        raise EegfmError(
            f"none of the {len(chosen)} objects that acquire.source chooses of {source.url} is a recording of corpus "
            f"{corpus.corpus}; expected {corpus.suffixes} files like {corpus.example}, chosen are, e.g., "
            f"{_examples(chosen)}"
        )
    if source.max_subjects is not None:
        chosen = _first_subjects(chosen, subjects, source.max_subjects)
    return sorted(chosen, key=lambda f: f.path)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _examples(files: Sequence[RemoteFile]) -> str:
    return ", ".join(f.path for f in files[:3])


def _warn_of_idle_patterns(files: Sequence[RemoteFile], source: S3Source) -> None:
    """Refuse patterns that match nothing. They are most likely misspelt, and an exclusion would fail silently."""
    for key, patterns in (("include", source.include), ("exclude", source.exclude)):
        for pattern in patterns:
            if not any(fnmatchcase(f.path, pattern) for f in files):
                _log.warning("acquire.source.%s: %r matches no object of %s", key, pattern, source.url)


def _check_paths(paths: Sequence[str], source: S3Source) -> None:
    """Refuse keys that would be written outside the raw folder, over our own files, or over one another.

    Raises:
        EegfmError: There is such a key.
    """
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
    for path in paths:
        parts = path.split("/")
        if any(part in {"", ".", ".."} or "\\" in part or "\0" in part for part in parts):
            problem = "is no path inside a folder"
        elif parts[0].startswith(OWN_PREFIX):
            problem = f"has a name that this project keeps for itself ({OWN_PREFIX}*)"
        elif path in folders:
            problem = "is an object and a folder of others"
        else:
            continue
        raise EegfmError(f"{source.url}: key {path!r} {problem}; leave it out by acquire.source.exclude")


def _subjects(files: Iterable[RemoteFile], corpus: Corpus) -> dict[str, str]:
    """Subject of each recording, by path. Hidden files are no recordings, as for ``Corpus.index``."""
    subjects = {}
    for file in files:
        hidden = any(part.startswith(".") for part in file.path.split("/"))
        fields = None if hidden or not file.path.lower().endswith(corpus.suffixes) else corpus.describe(file.path)
        if fields is not None:
            subjects[file.path] = fields["subject"]
    return subjects


def _first_subjects(files: Iterable[RemoteFile], subjects: dict[str, str], n_subjects: int) -> list[RemoteFile]:
    """Drop the recordings of further subjects, and files whose names contain one of these subjects."""
    first = set(sorted(set(subjects.values()))[:n_subjects])
    names = _names_of_subjects(subjects)
    kept = []
    for file in files:
        whose = {subjects[file.path]} if file.path in subjects else {names[p] for p in _parts(file.path) if p in names}
        if whose <= first:
            kept.append(file)
    return kept


def _names_of_subjects(subjects: dict[str, str]) -> dict[str, str]:
    """Parts of recordings' paths that stand for one subject, such as ``sub-X``. They contain no other subject's id."""
    owners = defaultdict(set)
    for path, subject in subjects.items():
        for part in _parts(path):
            owners[part].add(subject)
    whose = {part: next(iter(found)) for part, found in owners.items() if len(found) == 1}
    return {part: subject for part, subject in whose.items() if subject in part}


def _parts(path: str) -> list[str]:
    return _SEPARATORS.split(path)
