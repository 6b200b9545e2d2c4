"""What a corpus answers: which files, what is known of each, and how its channels are named."""

import logging
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from os import DirEntry, scandir, stat_result
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd

from eegfm.errors import EegfmError
from eegfm.recording import Reference
from eegfm.signal.reader import RecordingHeader

_log = logging.getLogger(__name__)

RAW_FILE_COLUMNS = {
    "recording_id": "str",
    "corpus": "str",
    "subject": "str",
    "session": "str",
    "task": "str",
    "run": "str",
    "official_split": "str",
    "path": "str",
    "n_bytes": "int64",
    "mtime_ns": "int64",
    "sidecars": "str",
}
"""Columns that ``raw_files`` has for every corpus; label columns follow. ``sidecars`` says which versions of its
side files a recording is made from: one that changes makes the recording stale, as its own file does."""


class Corpus(ABC):
    """One corpus as a user's project names it.

    Args:
        corpus: The name that stands in every table, e.g. ``"tuh"``.
    """

    layout: ClassVar[Literal["1005", "gsn129"]] = "1005"
    suffixes: ClassVar[tuple[str, ...]] = (".edf",)
    reference: Reference | None = None

    def __init__(self, corpus: str) -> None:
        self.corpus = corpus

    @abstractmethod
    def describe(self, path: str) -> dict[str, str] | None:
        """Read subject, session, task, run and labels off a path inside the raw folder.

        Returns:
            The fields, ``subject`` among them, or None for a file that does not belong to the layout.
        """

    def sidecars(self, path: str) -> tuple[str, ...]:
        """Paths of the files that a recording is read from beside its own, whether they exist or not."""
        return ()

    def labels(self, root: Path) -> pd.DataFrame | None:
        """Person-level labels by ``subject``, read once per index; None where there are none."""
        return None

    def facts(self, header: RecordingHeader) -> dict[str, Any]:
        """What only the file's header tells, e.g. age; overrides nothing that ``labels`` knows."""
        return {}

    def events(self, path: Path, header: RecordingHeader) -> list[dict[str, Any]]:
        """Events of one recording: ``onset_s``, ``duration_s`` (None if unknown), ``value`` and own columns.

        By default the annotations of the file itself.
        """
        return [
            {"onset_s": a.onset_s, "duration_s": None if math.isnan(a.duration_s) else a.duration_s, "value": a.text}
            for a in header.annotations
        ]

    def index(self, root: Path) -> pd.DataFrame:
        """List the raw files without opening one.

        Returns:
            ``raw_files``, one row per file in path order.

        Raises:
            EegfmError: The folder is missing, or holds no file of this layout.
        """
        if not root.is_dir():
            raise EegfmError(f"{self.corpus}: raw folder {root} does not exist; {_where(self.corpus)}")
        rows, foreign = [], []
        for path, size, mtime_ns in _files(root, self.suffixes):
            fields = self.describe(path)
            if fields is None:
                foreign.append(path)
            else:
                sidecars = _versions(root, self.sidecars(path))
                rows.append(self._row(path, size, mtime_ns, fields) | {"sidecars": sidecars})
        if not rows:
            found = f"{len(foreign)} {self.suffixes} files, none in the layout" if foreign else "no such file"
            raise EegfmError(
                f"{self.corpus}: raw folder {root} holds {found}; expected {self.suffixes} files like "
                f"{self.example}; {_where(self.corpus)}"
            )
        if foreign:
            _log.warning("%s: %d files left out: not in the layout, e.g. %s", self.corpus, len(foreign), foreign[0])
        return self._table(root, rows)

    @property
    @abstractmethod
    def example(self) -> str:
        """A path of the layout, for messages."""

    def _row(self, path: str, size: int, mtime_ns: int, fields: Mapping[str, str]) -> dict[str, Any]:
        known = {"session": "", "task": "", "run": "", "official_split": "", **fields}
        stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        facts = {"recording_id": f"{self.corpus}:{stem}", "corpus": self.corpus}
        return {**facts, "path": path, "n_bytes": size, "mtime_ns": mtime_ns, **known}

    def _table(self, root: Path, rows: list[dict[str, Any]]) -> pd.DataFrame:
        table = pd.DataFrame(rows)
        duplicated = table["recording_id"].duplicated(keep=False)
        if duplicated.any():
            # The same file name in two folders: the path makes the id unique.
            table.loc[duplicated, "recording_id"] = self.corpus + ":" + table.loc[duplicated, "path"]
        labels = self.labels(root)
        if labels is not None:
            table = table.merge(labels, on="subject", how="left", validate="many_to_one")
        first = list(RAW_FILE_COLUMNS)
        table = table[first + [c for c in table.columns if c not in first]]
        return table.astype(RAW_FILE_COLUMNS).sort_values("path", ignore_index=True)


def _where(corpus: str) -> str:
    return (
        f"set the catalog entries {corpus}.raw_folder and {corpus}.raw "
        "(or the environment variable that they read) to the right folder"
    )


def _files(root: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """Posix path inside root, size and modification time of each file with one of the suffixes."""
    folders: list[tuple[str, tuple[Path, ...]]] = [("", (root.resolve(),))]
    while folders:
        folder, above = folders.pop()
        with scandir(root / folder) as found:
            for entry in found:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    real = Path(entry.path).resolve()
                    if real not in above:  # a link that leads back to a folder above would be walked for ever
                        folders.append((path, (*above, real)))
                elif entry.name.lower().endswith(suffixes):
                    stat = _stat(entry)
                    yield path, stat.st_size, stat.st_mtime_ns


def _versions(root: Path, paths: Iterable[str]) -> str:
    """Name, size and modification time of those that exist."""
    stats = [(path, (root / path).stat()) for path in paths if (root / path).is_file()]
    return ";".join(f"{path.rsplit('/', 1)[-1]}:{s.st_size}:{s.st_mtime_ns}" for path, s in stats)


def _stat(entry: DirEntry[str]) -> stat_result:
    """Of the file, or of the link where it leads nowhere: git-annex links to content that is not fetched yet."""
    try:
        return entry.stat()
    except FileNotFoundError:
        return entry.stat(follow_symlinks=False)


def pattern_to_regex(pattern: str, fields: Iterable[str]) -> re.Pattern[str]:
    """Turn ``"S{subject}R{run}.edf"`` into a regular expression with named groups.

    Raises:
        EegfmError: An unknown field, or no ``{subject}``.
    """
    seen: set[str] = set()
    parts = []
    for text, field in re.findall(r"([^{}]*)(?:\{(\w*)\})?", pattern):
        parts.append(re.escape(text))
        if field and field not in fields:
            raise EegfmError(f"corpus.pattern {pattern!r}: unknown field {{{field}}}; known: {', '.join(fields)}")
        if field:
            parts.append(f"(?P={field})" if field in seen else f"(?P<{field}>[^/]+?)")
            seen.add(field)
    if "subject" not in seen:
        raise EegfmError(f"corpus.pattern {pattern!r}: {{subject}} is missing; splits are by person")
    return re.compile("".join(parts))
