"""Base class of corpora: list the raw files, describe each file, name its channels."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypedDict

import pandas as pd

from eegfm.corpora.file_events import annotation_events, file_events
from eegfm.corpora.label_join import Labels, join_labels
from eegfm.corpora.manifest import KnownFile, annex_key, published_text, read_manifest
from eegfm.corpora.raw_listing import NOT_SEEN, is_utf8, packed_files, raw_files_below
from eegfm.errors import EegfmError
from eegfm.recording import Reference, normalized_subject
from eegfm.signal.config import ReadParams
from eegfm.signal.expected import Expected
from eegfm.signal.header import RecordingHeader
from eegfm.signal.montages.electrodes import AS_WRITTEN, ResolvedChannels, resolve_channels
from eegfm.signal.montages.layouts import Layout

_log = logging.getLogger(__name__)

RAW_FILE_COLUMNS = {
    "recording_id": "str",
    "corpus": "str",
    "subject": "str",
    "session": "str",
    "bids_task": "str",
    "run": "str",
    "official_split": "str",
    "path": "str",
    "n_bytes": "int64",
    "mtime_ns": "int64",
    "sidecars": "str",
    "published": "str",
    "excluded": "str",
    "label_flags": "str",
}
"""Columns that ``raw_files`` has for every corpus; label columns follow.

``sidecars`` holds the versions of a recording's side files. A changed side file makes the recording stale, like a
changed file. ``published`` holds the sizes and checksums of the file and its side files in a manifest, see
``eegfm.corpora.manifest``. ``excluded`` is the reason for leaving a file out on purpose; it is empty for all others.
``label_flags``, separated by blanks, are faults in the labels of the person or in the file's place among the other
files. They become flags of the recording and are made again at every run.
"""


class StoredFacts(TypedDict):
    """Facts about a recording from its conversion: columns of the recordings table."""

    montage: str
    reference: str
    n_channels: int
    rate_hz: float
    original_rate_hz: float
    units: list[str]
    n_samples: int
    segment_starts: list[int]
    segment_stops: list[int]
    segment_onsets_s: list[float]
    flags: list[str]
    bad_channels: list[str]
    labels_left_out: list[str]
    labels_not_understood: list[str]
    signal_hashes: list[str]
    bad_ratio: float
    n_clipped: int


OPTIONS_USED = "options_used"
"""Fact of a recording that is no column: the options for names that change its labels, see ``labels.options_used``."""
DERIVED_COLUMNS = ("duration_s", "person", "simulated")
"""Columns that the recordings table derives from these facts and from the names of a recording."""
RECORDING_COLUMNS = frozenset({*RAW_FILE_COLUMNS, *StoredFacts.__annotations__, *DERIVED_COLUMNS})
"""Columns with one meaning in every corpus. No label may have such a name."""


class Details(NamedTuple):
    """Facts about a recording besides its signal.

    Args:
        events: ``onset_s`` in recording time, ``duration_s`` (None if unknown), ``value`` and own columns.
        facts: Columns of the recordings table, e.g. ``age_years``; labels of ``raw_files`` win where they have a value.
        flags: Faults that leave signal and timing intact.
        boundaries_s: Recording times of discontinuities that the file does not mark.
        reference_electrode: Clean name of the single reference electrode, if known.
        opened_others: Whether other recordings were opened for it, of whatever format.
    """

    events: list[dict[str, Any]]
    facts: dict[str, Any]
    flags: tuple[str, ...] = ()
    boundaries_s: tuple[float, ...] = ()
    reference_electrode: str | None = None
    opened_others: bool = False


class Corpus(ABC):
    """One corpus as a user's project names it.

    Args:
        corpus: The name in every table, e.g. ``"tuh"``.
    """

    layout: Layout = "1005"
    suffixes: ClassVar[tuple[str, ...]] = (".edf",)
    reference: Reference | None = None
    meaning_of_ref: ClassVar[Reference] = "unknown"
    """The reference of channels whose labels end in ``-REF``, which names none outside TUH."""

    def __init__(self, corpus: str) -> None:
        self.corpus = corpus

    @abstractmethod
    def describe(self, path: str) -> dict[str, str] | None:
        """Read subject, session, BIDS task (``bids_task``), run and labels off a path inside the raw folder.

        Returns:
            The fields, ``subject`` among them, or None for a file that does not belong to the layout.
        """

    def check_names(self, files: pd.DataFrame) -> None:  # noqa: B027  most corpora have no names in their parameters
        """Refuse configured names (of tasks, of subjects to leave out) that no file of the whole folder has.

        Args:
            files: Rows of ``raw_files`` without labels, those of files to leave out among them.

        Raises:
            ConfigError: With the names that there are.
        """

    def sidecars(self, path: str) -> tuple[str, ...]:
        """Paths of the side files that a recording is read from, even if they do not exist."""
        return ()

    def other_parts(self, root: Path, path: str) -> tuple[str, ...]:
        """Paths of the other parts of a recording in several files, which ``sidecars`` of ``raw_files`` lists, too."""
        return ()

    def labels(self, root: Path) -> Labels | None:
        """Labels of persons or files, read once per index; None if there are none."""
        return None

    def exclusion(self, fields: Mapping[str, str]) -> str:
        """Reason for leaving a file of the layout out on purpose; empty for all others."""
        return ""

    def expected(self, path: Path) -> Expected:
        """Facts about a signal that are known before its file is opened. Called in a worker.

        Raises:
            RecordingError: A required side file cannot be read.
        """
        return Expected()

    def channels(self, path: Path, header: RecordingHeader, reading: ReadParams = AS_WRITTEN) -> ResolvedChannels:
        """Find the electrodes among a file's channels, with their positions. Called in a worker.

        Args:
            path: The file.
            header: Its header.
            reading: Options for names.

        Raises:
            RecordingError: The file has no electrode, one electrode twice, or mixed references.
        """
        rates_hz = header.channel_rates_hz
        return resolve_channels(header.labels, self.layout, self.reference, self.meaning_of_ref, reading, rates_hz)

    def details(self, path: Path, header: RecordingHeader, reading: ReadParams | None = None) -> Details:
        """Events and facts of one recording; by default those of the file itself. Called in a worker.

        Args:
            path: The file.
            header: Its header.
            reading: Options for opening other files of the recording.

        Raises:
            RecordingError: A required side file cannot be read.
        """
        events, flags = file_events(header, reading or ReadParams())
        return Details(events, {}, flags)

    def notes(self, path: Path, header: RecordingHeader) -> list[dict[str, Any]]:
        """Further notes that may call stretches bad, besides the events of ``details``. Called in a worker."""
        return annotation_events(header)

    def index(self, root: Path) -> pd.DataFrame:
        """List the raw files without opening one.

        Returns:
            ``raw_files``, one row per file in path order.

        Raises:
            EegfmError: The folder is missing, or holds no file of this layout.
        """
        if not root.is_dir():
            raise EegfmError(f"{self.corpus}: raw folder {root} does not exist; {_where(self.corpus)}")
        manifest = read_manifest(root)
        rows: list[dict[str, Any]] = []
        n_foreign = n_odd = 0
        for path, n_bytes, mtime_ns in raw_files_below(root, self.suffixes):
            if not is_utf8(path):
                n_foreign, n_odd = n_foreign + 1, n_odd + 1
                rows.append(self._unreadable_name_row(root, path, n_bytes, mtime_ns))
                continue
            fields = self.describe(path)
            if n_bytes == NOT_SEEN:
                row = self._foreign_row(path, n_bytes, mtime_ns) | {"excluded": ""}
            elif fields is None:
                n_foreign += 1
                row = self._foreign_row(path, n_bytes, mtime_ns)
            else:
                row = self._row(path, n_bytes, mtime_ns, fields)
            rows.append(row | self._beside(root, path, manifest))
        if rows and n_odd == len(rows):
            raise EegfmError(f"{root}: {rows[0]['path']} is no name in UTF-8; rename the file or its folder")
        if n_foreign == len(rows):
            kinds = " ".join(self.suffixes)
            found = f"no {kinds} file{packed_files(root)}"
            if n_foreign:
                example = rows[-1]["path"]
                found = f"{n_foreign} {kinds} files, none in the layout of {self.corpus}.ingest.corpus, e.g. {example}"
            raise EegfmError(
                f"{self.corpus}: raw folder {root} holds {found}; expected are files like {self.example}; correct the "
                f"layout, or {_where(self.corpus)}"
            )
        if manifest and not any(row["published"] for row in rows):
            _log.warning(
                "%s: %s lists %d files with sizes or checksums, and no recording is among them: none is checked; paths "
                "there count from the raw folder, e.g. %s",
                *(self.corpus, root, len(manifest), next(iter(manifest))),
            )
        table = self._table(root, rows)
        self._say_persons(table)
        return table

    def _say_persons(self, table: pd.DataFrame) -> None:
        """Log the number of persons, and how one path was read. A wrong pattern shows here, not after a training."""
        own = table[table["subject"] != ""]
        if own.empty:
            return  # no folder can be read; each is a row
        read = {"subject": "subject", "session": "session", "bids_task": "task", "run": "run"}
        n_fields = (own[list(read)] != "").sum(axis=1).to_numpy()
        row = own.iloc[int(n_fields.argmax())]
        fields = ", ".join(f"{name} {row[column]}" for column, name in read.items() if row[column])
        n_persons = own["subject"].map(normalized_subject).nunique()
        _log.info("%s: %d files of %d persons; %s -> %s", self.corpus, len(own), n_persons, row["path"], fields)

    @property
    @abstractmethod
    def example(self) -> str:
        """An example path of the layout, for messages."""

    def _row(self, path: str, size: int, mtime_ns: int, fields: Mapping[str, str]) -> dict[str, Any]:
        known = {"session": "", "bids_task": "", "run": "", "official_split": "", **fields}
        stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        facts = {"recording_id": f"{self.corpus}:{stem}", "corpus": self.corpus, "excluded": self.exclusion(fields)}
        return {**facts, "path": path, "n_bytes": size, "mtime_ns": mtime_ns, **known}

    def _foreign_row(self, path: str, size: int, mtime_ns: int) -> dict[str, Any]:
        """Row of a file that looks like a recording but lies outside the layout."""
        excluded = {"excluded": f"not in the layout, expected names like {self.example}"}
        facts = {"recording_id": f"{self.corpus}:{path}", "corpus": self.corpus, "subject": ""}
        empty = {"session": "", "bids_task": "", "run": "", "official_split": ""}
        return {**facts, "path": path, "n_bytes": size, "mtime_ns": mtime_ns, **empty, **excluded}

    def _unreadable_name_row(self, root: Path, path: str, size: int, mtime_ns: int) -> dict[str, Any]:
        """Row of a file whose name is no UTF-8, which tables, stores and checksums hold names as."""
        written = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        _log.warning("%s: %s is no name in UTF-8, and the file is left out; rename it or its folder", root, written)
        row = self._foreign_row(written, size, mtime_ns)
        # No file that is really called so has this id.
        odd = {
            "recording_id": f"{row['recording_id']} (no UTF-8)",
            "excluded": "its name is no UTF-8; rename it or its folder",
        }
        return {**row, **odd, "sidecars": "", "published": ""}

    def _beside(self, root: Path, path: str, manifest: Mapping[str, KnownFile]) -> dict[str, str]:
        sidecars = self.sidecars(path)
        known = {p: manifest.get(p) or annex_key(root / p) for p in (path, *sidecars)}
        return {
            "sidecars": side_file_versions(root, sidecars),
            "published": published_text({p: k for p, k in known.items() if k is not None}),
        }

    def _table(self, root: Path, rows: list[dict[str, Any]]) -> pd.DataFrame:
        table = pd.DataFrame(rows)
        own = [c for c in table.columns if c not in RAW_FILE_COLUMNS]
        table[own] = table[own].fillna("")  # a file outside the layout has none of the corpus's own fields
        self.check_names(table)
        duplicated = table["recording_id"].duplicated(keep=False)
        if duplicated.any():
            # The same file name occurs in two folders. The path makes the id unique.
            table.loc[duplicated, "recording_id"] = self.corpus + ":" + table.loc[duplicated, "path"]
        table["label_flags"] = ""
        labels = self.labels(root)
        if labels is not None:
            table = join_labels(table, labels, self.corpus)
        first = list(RAW_FILE_COLUMNS)
        table = table[first + [c for c in table.columns if c not in first]]
        return table.astype(RAW_FILE_COLUMNS).sort_values("path", ignore_index=True)


def _where(corpus: str) -> str:
    return (
        f"set the catalog entries {corpus}.raw_folder and {corpus}.raw "
        "(or the environment variable that they read) to the right folder"
    )


def side_file_versions(root: Path, paths: Iterable[str]) -> str:
    """Name, size and modification time of each existing file: column ``sidecars`` of ``raw_files``."""
    versions = [(path.rsplit("/", 1)[-1], file_version(root / path)) for path in paths]
    return ";".join(f"{name}:{version}" for name, version in versions if version)


def file_version(path: Path) -> str:
    """Size and modification time of a file; empty if it does not exist."""
    try:
        if not path.is_file():
            return ""
        stat = path.stat()
    except OSError:
        return "not readable"  # conversion says so, and another version follows when it can be read
    return f"{stat.st_size}:{stat.st_mtime_ns}"
