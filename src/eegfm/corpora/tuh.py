"""The TUH EEG corpora (TUEG, TUAB, TUEV, TUAR, TUSZ, TUSL, TUEP), as their README files describe them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pandas as pd

from eegfm.corpora.base import Corpus, Details
from eegfm.corpora.config import TuhCorpus
from eegfm.corpora.file_events import annotation_events, triggers_beside
from eegfm.corpora.side_faults import not_utf8
from eegfm.corpora.side_file_limits import is_there
from eegfm.corpora.text_files import decode_file
from eegfm.corpora.tuh_annotations import (
    LAB_SUFFIXES,
    CsvAnnotations,
    TuhEvent,
    lab_events,
    lab_unit_s,
    read_csv,
    read_lab,
    read_rec,
    read_tse,
)
from eegfm.errors import RecordingError
from eegfm.recording import Reference
from eegfm.signal.config import ReadParams
from eegfm.signal.expected import MAX_DURATION_ERROR_S, Expected
from eegfm.signal.header import RecordingHeader
from eegfm.signal.montages.bipolar import tcp_name

_SUBJECT = r"(?P<subject>[a-z]{8}|\d{8})"
_SESSION = r"(?P<session>s\d{3})"
_SESSION_FOLDER = _SESSION + r"(?:_(?P<session_date>\d{4}(?:_\d\d_\d\d)?))?"
_RUN = r"(?P<run>t\d{3})\.edf"
_SPLIT = r"(?P<official_split>train|dev|eval)"
_MONTAGE = r"(?P<acquisition>01_tcp_ar|02_tcp_le|03_tcp_ar_a|04_tcp_le_a)"
# A file in folders of its person and session must be named after both, because the person decides all splits.
_FLAT = rf"{_MONTAGE}/{_SUBJECT}_{_SESSION}_{_RUN}"
_BY_SUBJECT = rf"{_SUBJECT}/{_SESSION_FOLDER}/{_MONTAGE}/(?P=subject)_(?P=session)_{_RUN}"
_BY_MONTAGE = rf"{_MONTAGE}/\d{{3}}/{_SUBJECT}/{_SESSION_FOLDER}/(?P=subject)_(?P=session)_{_RUN}"
_TUAB = r"(?P<official_split>train|eval)/(?P<pathology>normal|abnormal)"
_TUEP = r"(?:00_(?!no)|01_(?=no))(?P<epilepsy>(?:no_)?epilepsy)"
_TUEV_TRAIN = rf"(?P<official_split>train)/{_SUBJECT}/(?P=subject)_(?P<run>\d{{8}})\.edf"
_TUEV_EVAL = r"(?P<official_split>eval)/(?P<subject>\d{3})/(?P<kind>[a-z]{4})_(?P=subject)_(?P<part>[a-z]_\d*)\.edf"
_ANNOTATED = (".csv", ".csv_bi", ".tse", ".tse_bi")
_FIELDS = ("subject", "session", "session_date", "run", "official_split", "acquisition", "pathology", "epilepsy")


class _Family(NamedTuple):
    """One corpus: its layouts below ``edf/``, the endings of its annotation files, and an example path for messages."""

    layouts: tuple[str, ...]
    annotations: tuple[str, ...]
    example: str


_FAMILIES = {
    "tueg": _Family(
        (rf"\d{{3}}/{_BY_SUBJECT}", _BY_MONTAGE),
        (),
        "edf/000/aaaaaaaa/s001_2015_12_30/01_tcp_ar/aaaaaaaa_s001_t000.edf",
    ),
    "tuab": _Family(
        (f"{_TUAB}/{_FLAT}", f"{_TUAB}/{_BY_MONTAGE}"),
        (),
        "edf/train/normal/01_tcp_ar/aaaaaaab_s001_t000.edf",
    ),
    "tuev": _Family((_TUEV_TRAIN, _TUEV_EVAL), (".rec", *LAB_SUFFIXES), "edf/train/aaaaaaar/aaaaaaar_00000001.edf"),
    "tuar": _Family((_FLAT,), (".csv", "_seiz.csv"), "edf/01_tcp_ar/aaaaaaab_s001_t000.edf"),
    "tusz": _Family(
        (f"{_SPLIT}/{_BY_SUBJECT}", f"{_SPLIT}/{_BY_MONTAGE}"),
        _ANNOTATED,
        "edf/train/aaaaaajy/s001_2003/02_tcp_le/aaaaaajy_s001_t000.edf",
    ),
    "tusl": _Family((_BY_SUBJECT,), (".csv",), "edf/aaaaaajy/s001_2003/02_tcp_le/aaaaaajy_s001_t000.edf"),
    "tuep": _Family(
        (f"{_TUEP}/{_BY_SUBJECT}",),
        (".csv", ".csv_bi"),
        "00_epilepsy/aaaaaanr/s001_2003/02_tcp_le/aaaaaanr_s001_t001.edf",
    ),
}
_TUEV_NAME = re.compile(rf"{_SUBJECT}_\d{{8}}\.edf|[a-z]{{4}}_\d{{3}}_[a-z]_\d*\.edf")
_AGE = re.compile(r"\bAge:\s*(\d+(?:\.\d+)?)")
_SEX = re.compile(r"\S+\s+([MF])(?:\s|$)")


class Tuh(Corpus):
    """Person, session and token come from the path, as do class, official split, montage and date.

    ``pathology`` (TUAB) and ``epilepsy`` (TUEP) are labels of a recording, not of a person: 54 persons of TUAB have
    recordings of both classes. All corpora use the person ids of TUEG, except TUEV's evaluation set. There only the
    number of a folder is known, so these persons cannot be identified in the other corpora by their ids.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".edf",)
    meaning_of_ref: ClassVar[Reference] = "average"

    def __init__(self, config: TuhCorpus, corpus: str) -> None:
        super().__init__(corpus)
        self.reference: Reference | None = None  # read from the labels: -REF (the average) or -LE
        self._family = config.family
        names = list(_FAMILIES) if config.family == "auto" else [config.family]
        above = {name: _above(name, is_named=config.family != "auto") for name in names}
        self._layouts = [
            (name, re.compile(above[name] + layout)) for name in names for layout in _FAMILIES[name].layouts
        ]

    @property
    def example(self) -> str:
        """A path of the layout."""
        return _FAMILIES["tuab" if self._family == "auto" else self._family].example

    def describe(self, path: str) -> dict[str, str] | None:
        """Read a path of one of the layouts. The raw folder may lie above ``edf`` or, if unambiguous, be ``edf``.

        Returns:
            Also ``family``; ``session_date`` as year or as year, month and day (the headers' dates are not the
            recordings'); None for a path that fits no layout or contradicts itself.
        """
        for family, layout in self._layouts:
            match = layout.fullmatch(path)
            if match:
                found = match.groupdict(default="")
                fields = {name: found.get(name, "") for name in _FIELDS}
                if "kind" in found:
                    # bckg_000_a_.edf, bckg_000_a_1.edf: class that the file was chosen for, letter, number of the piece
                    fields["run"] = f"{found['kind']}_{found['part'].removesuffix('_')}"
                return {**fields, "session_date": fields["session_date"].replace("_", "-"), "family": family}
        return None

    def index(self, root: Path) -> pd.DataFrame:
        """List the raw files. Of paths that differ in the montage alone the last is kept, as TUH did."""
        table = super().index(root)
        wanted = table[table["acquisition"] != ""]
        elsewhere = [p.replace(f"{m}/", "", 1) for p, m in zip(wanted["path"], wanted["acquisition"], strict=True)]
        last = wanted.groupby(elsewhere)["path"].transform("last")
        for row in wanted.index[wanted["path"] != last]:
            table.loc[row, "excluded"] = f"the same recording under another montage is kept: {last[row]}"
        return table

    def sidecars(self, path: str) -> tuple[str, ...]:
        """The annotation files that a recording of this name may have."""
        stem = path.removesuffix(".edf")
        return tuple(f"{stem}{suffix}" for suffix in self._annotation_suffixes(path))

    def expected(self, path: Path) -> Expected:
        """The length that the annotation files state. Annotations of another version of the signal would be misplaced.

        There is no list of rates. The documents name 250, 256, 400 and 512 Hz, but this list is not complete, and a
        genuine file must not be refused. A user who knows the rates can set ``ingest.rates_hz``.

        Raises:
            RecordingError: An annotation file cannot be read, or two files state different lengths.
        """
        stated = {p.name: duration_s for p, table in self._csv(path).items() if (duration_s := table.duration_s)}
        if not stated:
            return Expected()
        if max(stated.values()) - min(stated.values()) > MAX_DURATION_ERROR_S:
            raise RecordingError(
                "annotations_disagree",
                "different lengths of one recording: " + ", ".join(f"{n} {d:g} s" for n, d in stated.items()),
                "fetch these files again, or remove the wrong ones to do without them",
            )
        name = next(iter(stated))
        return Expected(duration_s=stated[name], source=name)

    def details(self, path: Path, header: RecordingHeader, reading: ReadParams | None = None) -> Details:
        """Events of the file itself and of all annotation files; age in years and sex from the patient field.

        Event-based labels (``.csv``, per channel and kind of seizure) and term-based labels (``.csv_bi``, seizure or
        not for the whole recording) are different labels, and old and new releases may lie side by side. No file is
        preferred: every event has the ending of its file's name under ``source``, its derivation under ``channel``.

        Raises:
            RecordingError: An annotation file cannot be read, or ``.lab`` and ``.rec`` files disagree.
        """
        age, sex = _AGE.search(header.patient), _SEX.match(header.patient)
        facts = {"age_years": float(age[1]) if age else None, "sex": sex[1] if sex else ""}
        own = [{**e, "channel": "", "confidence": None, "source": "edf"} for e in annotation_events(header)]
        events = [event for table in self._csv(path).values() for event in table.events]
        for file, suffix in self._files(path, ".tse", ".tse_bi"):
            events += read_tse(file, suffix.removeprefix("."))
        tuev, flags = self._tuev(path)
        rows, time_flags = _within([*events, *tuev], header)
        flags = (*flags, *time_flags, *triggers_beside(header), *self._encoding_flags(path))
        return Details(events=[*own, *rows], facts=facts, flags=flags)

    def _annotation_suffixes(self, path: str) -> tuple[str, ...]:
        if self._family != "auto":
            return _FAMILIES[self._family].annotations
        if _TUEV_NAME.fullmatch(path.rsplit("/", 1)[-1]):
            return _FAMILIES["tuev"].annotations
        return (*_ANNOTATED, "_seiz.csv")

    def _files(self, path: Path, *suffixes: str) -> list[tuple[Path, str]]:
        """Annotation files that exist. A link to content that is not fetched counts as existing."""
        known = [suffix for suffix in self._annotation_suffixes(path.name) if suffix in suffixes]
        files = [(path.with_name(path.name.removesuffix(".edf") + suffix), suffix) for suffix in known]
        return [(file, suffix) for file, suffix in files if is_there(file) or file.is_symlink()]

    def _encoding_flags(self, path: Path) -> tuple[str, ...]:
        files = self._files(path, *self._annotation_suffixes(path.name))
        return tuple(
            flag for file, suffix in files for flag in not_utf8(suffix.lstrip("._"), is_utf8=decode_file(file).is_utf8)
        )

    def _csv(self, path: Path) -> dict[Path, CsvAnnotations]:
        files = self._files(path, ".csv", ".csv_bi", "_seiz.csv")
        return {file: read_csv(file, suffix.lstrip("._")) for file, suffix in files}

    def _tuev(self, path: Path) -> tuple[list[TuhEvent], tuple[str, ...]]:
        """Events of ``.rec`` and ``.lab`` files. Without a ``.rec`` file the time unit of ``.lab`` files is unknown."""
        rec = [event for file, _ in self._files(path, ".rec") for event in read_rec(file)]
        files = self._files(path, *LAB_SUFFIXES)
        labs = {tcp_name(LAB_SUFFIXES.index(suffix)): read_lab(file) for file, suffix in files}
        if not any(labs.values()):
            return rec, ()
        if not rec:
            return [], ("lab_without_rec",)
        return [*rec, *lab_events(labs, lab_unit_s(labs, rec))], ()


def _above(family: str, *, is_named: bool) -> str:
    """Pattern of the path before a layout: anything that ends in the folder ``edf``, or nothing. TUEP has no ``edf``.

    Below ``train`` or ``train/normal``, TUSZ and TUAB look like TUSL, TUAR and TUEG. The path of the latter three must
    therefore contain the folder ``edf`` unless ``family`` names them. Otherwise an official split could be lost
    unnoticed.
    """
    if family == "tuep":
        return r"(?:.*/)?"
    return r"(?:.*/)?edf/" if family in ("tueg", "tuar", "tusl") and not is_named else r"(?:(?:.*/)?edf/)?"


def _within(events: Sequence[TuhEvent], header: RecordingHeader) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Rows of the events table. Events are cut at the end of the recording; events after the end are dropped.

    Returns:
        The rows, and the flags ``annotations_clipped:<n>`` and ``annotations_beyond_end:<n>``.
    """
    end_s = header.end_s
    tolerance_s = 0.5 / header.rate_hz  # times are written in decimals and need not hit a sample
    rows, n_clipped, n_beyond = [], 0, 0
    for event in events:
        if event.onset_s >= end_s:
            n_beyond += 1
            continue
        n_clipped += event.stop_s > end_s + tolerance_s
        row = event._asdict()
        stop_s = min(row.pop("stop_s"), end_s)
        rows.append({**row, "duration_s": stop_s - event.onset_s})
    counts = {"annotations_clipped": n_clipped, "annotations_beyond_end": n_beyond}
    return rows, tuple(f"{name}:{n}" for name, n in counts.items() if n)
