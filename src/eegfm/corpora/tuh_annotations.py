"""Read the annotation files beside the recordings of the TUH corpora.

Sources: the README files of TUSZ, TUAR, TUSL, TUEP (``.csv``, ``.csv_bi``), of TUSZ v1 (``.tse``) and of TUEV
(``.rec``, ``.lab``). Guessed labels would be worse than none, so a line that does not fit the format rejects the
recording.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from eegfm.corpora.side_file_limits import MAX_TABLE_BYTES, checked_bytes
from eegfm.corpora.text_tables import cells, is_missing
from eegfm.errors import EegfmError, RecordingError
from eegfm.signal.montages.bipolar import TCP_PAIRS, tcp_name
from eegfm.signal.text import stripped

ALL_CHANNELS = "TERM"
"""Channel of a label that holds for the whole recording ("term-based")."""
REC_CLASSES = {"1": "spsw", "2": "gped", "3": "pled", "4": "eyem", "5": "artf", "6": "bckg"}
LAB_SUFFIXES = tuple(f"_ch{index:03d}.lab" for index in range(len(TCP_PAIRS)))
"""Ends of the names of TUEV's ``.lab`` files, by index of the derivation."""
LAB_UNITS_S = (1e-5, 1e-7)
"""Time units that ``.lab`` files may have: the README's "10s of microseconds", and HTK's 100 ns."""
MIN_CONFIRMED_RATIO = 0.9
"""Share of the ``.rec`` rows that the ``.lab`` files must repeat. Of overlapping events they can hold only one."""

_CSV_COLUMNS = ("channel", "start_time", "stop_time", "label")
_CSV_DURATION = re.compile(r"#\s*duration\s*=\s*(\S+)\s*(?:secs?)?", re.IGNORECASE)
_DECIMAL = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WHOLE = re.compile(r"\d{1,15}")  # a time in ticks; exact as a float


class TuhEvent(NamedTuple):
    """One label of a stretch of a recording.

    Args:
        onset_s: Start in recording time.
        stop_s: End, not before the start.
        value: The label, e.g. ``"cpsz"``.
        channel: The derivation that shows the event, e.g. ``"FP1-F7"``, or ``ALL_CHANNELS``.
        confidence: Probability of the label; None if the format has none.
        source: Ending of the file's name, e.g. ``"csv_bi"``.
    """

    onset_s: float
    stop_s: float
    value: str
    channel: str
    confidence: float | None
    source: str


class CsvAnnotations(NamedTuple):
    """Content of a ``.csv`` or ``.csv_bi`` file. ``duration_s`` is the length of the recording that the file states."""

    events: list[TuhEvent]
    duration_s: float | None


class LabPiece(NamedTuple):
    """One line of a ``.lab`` file; times in its own unit."""

    start: int
    stop: int
    value: str


class _Line(NamedTuple):
    """One line that is not empty."""

    path: Path
    number: int
    text: str

    def damaged(self, found: str) -> RecordingError:
        return _damaged(self.path, self.number, found)

    def seconds(self, text: str) -> float:
        return self._number(_DECIMAL, text, "a time in seconds")

    def ticks(self, text: str) -> int:
        return int(self._number(_WHOLE, text, "a whole number of time units"))

    def confidence(self, text: str) -> float | None:
        return None if is_missing(text) else self._number(_DECIMAL, text, "a confidence")

    def ordered(self, start: float, stop: float) -> None:
        if stop < start:
            raise self.damaged(f"stops at {stop:g}, before its start at {start:g}")

    def _number(self, pattern: re.Pattern[str], text: str, what: str) -> float:
        if not pattern.fullmatch(text):
            raise self.damaged(f"{text!r} is not {what}")
        return float(text)


def read_csv(path: Path, source: str) -> CsvAnnotations:
    """Read a ``.csv`` (one row per channel and event) or ``.csv_bi`` (rows for all channels) file.

    Raises:
        RecordingError: A line is not of the format (``unreadable_annotations``).
    """
    duration_s, columns, events = None, None, []
    for line in _lines(path):
        if line.text.startswith("#"):
            match = _CSV_DURATION.fullmatch(line.text)
            duration_s = line.seconds(match[1]) if match else duration_s
        elif columns is None:
            columns = [column.lower() for column in cells(line.text, ",")]
            if not set(_CSV_COLUMNS) <= set(columns):
                raise line.damaged(f"{line.text[:80]!r} is not the line of column names: {','.join(_CSV_COLUMNS)}")
        else:
            events.append(_csv_event(line, columns, source))
    if columns is None:
        raise _damaged(path, 1, "the line with the names of the columns is missing")
    return CsvAnnotations(events, duration_s)


def read_tse(path: Path, source: str) -> list[TuhEvent]:
    """Read a ``.tse`` or ``.tse_bi`` file: a version line, then start, stop, label and confidence, for all channels.

    Raises:
        RecordingError: A line is not of the format (``unreadable_annotations``).
    """
    lines = _lines(path)
    if not lines or not re.fullmatch(r"version\s*=\s*tse_v\S+", lines[0].text):
        raise _damaged(path, 1, "the line 'version = tse_v…' is missing")
    events = []
    for line in lines[1:]:
        start, stop, label, confidence = _fields(line, line.text.split(), 4)
        onset_s, stop_s = line.seconds(start), line.seconds(stop)
        line.ordered(onset_s, stop_s)
        events.append(TuhEvent(onset_s, stop_s, label, ALL_CHANNELS, line.confidence(confidence), source))
    return events


def read_rec(path: Path) -> list[TuhEvent]:
    """Read a ``.rec`` file: index of the derivation, start, stop, number of the class. Repeated rows are kept once.

    Raises:
        RecordingError: A line does not fit the format, or there is no line (``unreadable_annotations``).
    """
    events: dict[TuhEvent, None] = {}
    for line in _lines(path):
        channel, start, stop, label = _fields(line, cells(line.text, ","), 4)
        onset_s, stop_s = line.seconds(start), line.seconds(stop)
        line.ordered(onset_s, stop_s)
        if label not in REC_CLASSES:
            raise line.damaged(f"class {label!r} is unknown; {', '.join(REC_CLASSES)} are known")
        events[TuhEvent(onset_s, stop_s, REC_CLASSES[label], _channel(line, channel), None, "rec")] = None
    if not events:
        raise _damaged(path, 1, "the file is empty")
    return list(events)


def read_lab(path: Path) -> list[LabPiece]:
    """Read a ``.lab`` file: start, stop, label of one channel; times in units that the file does not name.

    Raises:
        RecordingError: A line is not of the format (``unreadable_annotations``).
    """
    pieces = []
    for line in _lines(path):
        start, stop, label = _fields(line, line.text.split(), 3)
        piece = LabPiece(line.ticks(start), line.ticks(stop), label)
        line.ordered(piece.start, piece.stop)
        pieces.append(piece)
    return pieces


def lab_unit_s(labs: Mapping[str, Sequence[LabPiece]], rec: Sequence[TuhEvent]) -> float:
    """Find the time unit of ``.lab`` files: the one in which they repeat the ``.rec`` file of the same recording.

    If both units fit equally well, e.g. because all is background, the README's unit is taken.

    Args:
        labs: Content of the ``.lab`` files by channel.
        rec: Content of the ``.rec`` file, at least one event.

    Raises:
        RecordingError: The files disagree in every unit (``annotations_disagree``).
    """
    ratios = {unit_s: _confirmed_ratio(labs, rec, unit_s) for unit_s in LAB_UNITS_S}
    best_s = max(LAB_UNITS_S, key=lambda unit_s: ratios[unit_s])
    if ratios[best_s] < MIN_CONFIRMED_RATIO:
        shares = " or ".join(f"{ratio:.0%} in units of {unit_s:g} s" for unit_s, ratio in ratios.items())
        raise RecordingError(
            "annotations_disagree",
            f"the .lab files repeat {shares} of the events of the .rec file, {MIN_CONFIRMED_RATIO:.0%} are needed",
            "fetch these files again, or remove the wrong ones to do without them",
        )
    return best_s


def lab_events(labs: Mapping[str, Sequence[LabPiece]], unit_s: float) -> list[TuhEvent]:
    """The events of ``.lab`` files by channel, in seconds."""
    return [
        TuhEvent(piece.start * unit_s, piece.stop * unit_s, piece.value, channel, None, "lab")
        for channel, pieces in labs.items()
        for piece in pieces
    ]


def _confirmed_ratio(labs: Mapping[str, Sequence[LabPiece]], rec: Sequence[TuhEvent], unit_s: float) -> float:
    """Share of the ``.rec`` events in whose middle the ``.lab`` file of the same channel has the same label."""
    n_confirmed = 0
    for event in rec:
        middle = (event.onset_s + event.stop_s) / 2 / unit_s
        pieces = labs.get(event.channel, ())
        n_confirmed += any(p.start <= middle <= p.stop and p.value == event.value for p in pieces)
    return n_confirmed / len(rec)


def _csv_event(line: _Line, columns: Sequence[str], source: str) -> TuhEvent:
    row = dict(zip(columns, _fields(line, cells(line.text, ","), len(columns)), strict=True))
    onset_s, stop_s = line.seconds(row["start_time"]), line.seconds(row["stop_time"])
    line.ordered(onset_s, stop_s)
    if not row["label"] or not row["channel"]:
        raise line.damaged("label or channel is empty")
    return TuhEvent(onset_s, stop_s, row["label"], row["channel"], line.confidence(row.get("confidence", "")), source)


def _channel(line: _Line, text: str) -> str:
    try:
        return tcp_name(int(line.ticks(text)))
    except EegfmError as error:
        raise line.damaged(str(error)) from error


def _fields(line: _Line, fields: list[str], n_fields: int) -> list[str]:
    if len(fields) != n_fields:
        raise line.damaged(f"{line.text[:80]!r} has {len(fields)} fields, {n_fields} are expected")
    return fields


def _lines(path: Path) -> list[_Line]:
    remedy = "fetch the file again, or remove it to do without its annotations"
    raw = checked_bytes(path, MAX_TABLE_BYTES, "unreadable_annotations", remedy)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _damaged(path, raw[: error.start].count(b"\n") + 1, "not text") from error
    lines = enumerate(map(stripped, text.split("\n")), start=1)
    return [_Line(path, number, line) for number, line in lines if line]


def _damaged(path: Path, number: int, found: str) -> RecordingError:
    return RecordingError(
        "unreadable_annotations",
        f"{path.name}: line {number}: {found}",
        "fetch the file again or correct the line; remove the file to do without its annotations",
    )
