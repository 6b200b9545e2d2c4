"""Side files of EEG-BIDS: find those that apply to a recording, and read them.

Source: the BIDS specification, chapters "Common principles" (inheritance) and "Electroencephalography".
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from eegfm.corpora.side_faults import not_understood, not_utf8, rows_left_out, unreadable
from eegfm.corpora.side_file_limits import MAX_JSON_BYTES, is_there
from eegfm.corpora.text_files import decode_file
from eegfm.corpora.text_tables import Row, is_missing, read_table
from eegfm.json_text import parse_json
from eegfm.recording import Reference
from eegfm.signal.expected import Expected
from eegfm.signal.montages.electrodes import clean_label
from eegfm.signal.text import stripped

NOT_RAW = frozenset({"derivatives", "sourcedata", "code", "stimuli"})
"""Folders of a data set that hold no raw recordings, whatever their contents."""

_LABEL = "[A-Za-z0-9+]+"
_NAME = re.compile(
    rf"sub-(?P<sub>{_LABEL})(?:_ses-(?P<ses>{_LABEL}))?_task-(?P<task>{_LABEL})(?:_acq-(?P<acq>{_LABEL}))?"
    r"(?:_run-(?P<run>\d+))?(?:_split-(?P<split>\d+))?_eeg\.(?P<extension>[a-z]+)"
)
_REFERENCES: dict[str, Reference] = {
    "cz": "Cz",
    "average": "average",
    "average reference": "average",
    "common average": "average",
    "car": "average",
    "linked ears": "linked_ears",
    "linked earlobes": "linked_ears",
    "a1a2": "linked_ears",
    "a1+a2": "linked_ears",
    "a1,a2": "linked_ears",
}
EEG_JSON = "eeg.json"
EVENTS_TSV = "events.tsv"
_NUMBERS = ("SamplingFrequency", "RecordingDuration", "EEGChannelCount")
"""Keys of ``*_eeg.json`` that are numbers."""
_NOT_A_COLUMN = ("onset", "duration", "sample")
_EVENT_COLUMNS = ("duration", "sample", "trial_type", "value", "response_time", "HED", "stim_file", "channel")
"""Columns of ``*_events.tsv`` in the specification, besides ``onset``."""


def entities(name: str) -> dict[str, str] | None:
    """Entities of a recording's file name in the order of the name; None for another kind of name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return {key: value for key, value in match.groupdict().items() if value is not None and key != "extension"}


def inherited(path: str, ending: str) -> tuple[str, ...]:
    """Paths of side files that would apply to a recording, from the most general to the most specific.

    A side file applies if it lies in the recording's folder or in a folder above it inside the data set, and if all its
    entities occur in the recording's name.

    Args:
        path: Posix path of a recording.
        ending: Suffix and extension of the side file, e.g. ``"eeg.json"``.

    Returns:
        Posix paths, even if they do not exist; none if ``path`` is not the name of a recording.
    """
    *folders, name = path.split("/")
    known = entities(name)
    if known is None:
        return ()
    top = max((i for i, folder in enumerate(folders) if folder == f"sub-{known['sub']}"), default=len(folders))
    paths = []
    for depth in range(top, len(folders) + 1):
        # Below the top folder every name contains the person. Below a session folder it also contains the session.
        fixed = {"sub"} if depth > top or top == len(folders) else set()
        fixed |= {"ses"} if f"ses-{known.get('ses')}" in folders[:depth] else set()
        free = [key for key in known if key not in fixed and key != "sub"]
        for n_free in range(len(free) + 1):
            for chosen in itertools.combinations(free, n_free):
                parts = [f"{key}-{value}" for key, value in known.items() if key in fixed or key in chosen]
                paths.append("/".join((*folders[:depth], "_".join((*parts, ending)))))
    return tuple(paths)


def nearest(path: Path, ending: str) -> Path | None:
    """The most specific side file that exists. Tables are not merged; only the nearest one counts."""
    places = (Path(place) for place in reversed(inherited(path.as_posix(), ending)))
    return next((place for place in places if is_there(place)), None)


class SideFacts(NamedTuple):
    """Keys of ``*_eeg.json`` after inheritance.

    Args:
        values: Values by key.
        files: File of each value, by key.
        file_flags: Flags of the files themselves.
    """

    values: Mapping[str, Any]
    files: Mapping[str, Path]
    file_flags: tuple[str, ...] = ()

    def number(self, key: str) -> float | None:
        """A positive number; None if the key is absent or its value is no positive number."""
        return _positive(self.values.get(key))

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of the files, and of keys whose values are no positive numbers."""
        wrong = [key for key in _NUMBERS if self._is_stated(key) and self.number(key) is None]
        return (*self.file_flags, *(not_understood(EEG_JSON, key) for key in wrong))

    def _is_stated(self, key: str) -> bool:
        value = self.values.get(key)
        return not (value is None or value == 0 or (isinstance(value, str) and is_missing(value)))

    @property
    def reference(self) -> Reference | None:
        """The reference that ``EEGReference`` names unambiguously; None for other words or a missing key."""
        return _REFERENCES.get(stripped(str(self.values.get("EEGReference", ""))).casefold())

    @property
    def reference_electrode(self) -> str | None:
        """The single electrode that ``EEGReference`` names, such as FCz; other words as they are; None for no words."""
        text = stripped(str(self.values.get("EEGReference", "")))
        return clean_label(text) or text or None

    def expected(self, rates_hz: tuple[float, ...] | None = None, *, is_counted: bool = False) -> Expected:
        """Facts that the signal must agree with.

        Args:
            rates_hz: Rates that replace the rate of the side files.
            is_counted: Whether ``channels.tsv`` lists the channels. ``EEGChannelCount`` alone is then no reason to
                refuse a file, see ``ChannelTable.count_flags``.
        """
        rate_hz, n_channels = self.number("SamplingFrequency"), None if is_counted else self.number("EEGChannelCount")
        return Expected(
            rates_hz=rates_hz if rates_hz is not None else (rate_hz,) if rate_hz else (),
            duration_s=self.number("RecordingDuration"),
            n_channels=round(n_channels) if n_channels else None,
            source=" and ".join(sorted({self.files[key].name for key in _NUMBERS if key in self.files})),
        )


def _positive(value: Any) -> float | None:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def read_eeg_json(path: Path) -> SideFacts:
    """Merge the ``*_eeg.json`` files that apply to a recording. The most specific file wins, key by key.

    A file that is no JSON object is left out, with a flag.
    """
    values: dict[str, Any] = {}
    files: dict[str, Path] = {}
    flags: dict[str, None] = {}
    for place in map(Path, inherited(path.as_posix(), EEG_JSON)):
        if is_there(place):
            try:
                found = read_json(place)
            except ValueError:
                flags[unreadable(EEG_JSON)] = None
                continue
            values |= found.values
            files |= dict.fromkeys(found.values, place)
            flags |= dict.fromkeys(not_utf8(EEG_JSON, is_utf8=found.is_utf8))
    return SideFacts(values, files, tuple(flags))


class Json(NamedTuple):
    """Content of a JSON side file, and whether it is UTF-8."""

    values: dict[str, Any]
    is_utf8: bool


def read_json(path: Path) -> Json:
    """Read one JSON side file.

    Raises:
        ValueError: The file is no JSON object. The message names it.
    """
    try:
        content = decode_file(path, max_bytes=MAX_JSON_BYTES)
        found = parse_json(content.text)
        if not isinstance(found, dict):
            raise ValueError("it is no object")
    except ValueError as error:
        raise ValueError(f"{path.name}: not readable as JSON ({error})") from error
    return Json(found, content.is_utf8)


class Events(NamedTuple):
    """Rows of ``*_events.tsv``.

    Args:
        rows: ``onset_s``, ``duration_s`` (None if unknown), ``value``, and the table's other columns.
        flags: Faults of the table.
        is_read: False if nothing of the table could be read.
    """

    rows: list[dict[str, Any]]
    flags: tuple[str, ...] = ()
    is_read: bool = True


def read_events(path: Path, own_columns: Iterable[str] = ()) -> Events:
    """Read one ``*_events.tsv``.

    ``value`` is the table's ``trial_type``, which names the event. Without ``trial_type`` it is the table's ``value``,
    which may be the number of a trigger. If a table has both columns, its ``value`` is kept as ``marker_value``.

    A row without a finite number under ``onset`` is left out and counted (``events_without_onset:<n>``), because nobody
    knows when it happened. A duration that is no number is unknown. The tables' faults are flags.

    Args:
        path: The table.
        own_columns: Further columns of the corpus whose names match in any case, like those of the specification.
    """
    try:
        table = read_table(path, ["onset"], (*_EVENT_COLUMNS, *own_columns))
    except ValueError:
        return Events([], (unreadable(EVENTS_TSV),), is_read=False)
    onsets_s = [_finite(row["onset"]) for row in table.rows]
    durations_s = [_finite(row.get("duration")) for row in table.rows]
    timed = zip(table.rows, onsets_s, durations_s, strict=True)
    rows = [_event(row, onset_s, duration_s) for row, onset_s, duration_s in timed if onset_s is not None]
    n_without_onset = len(table.rows) - len(rows)
    texts = zip([row.get("duration") for row in table.rows], durations_s, strict=True)
    is_odd_duration = any(text not in (None, "nan", "NaN") and duration_s is None for text, duration_s in texts)
    flags = (
        *not_utf8(EVENTS_TSV, is_utf8=table.is_utf8),
        *rows_left_out(EVENTS_TSV, len(table.odd_lines)),
        *((f"events_without_onset:{n_without_onset}",) if n_without_onset else ()),
        *((not_understood(EVENTS_TSV, "duration"),) if is_odd_duration else ()),
        *(not_understood(EVENTS_TSV, column) for column in table.differing),
    )
    return Events(rows, flags)


def is_boundary(event: Mapping[str, Any]) -> bool:
    """True if the signal is discontinuous at an event: EEGLAB's ``boundary``, BrainVision's ``New Segment``."""
    value = stripped(str(event["value"])).lower()
    return value.endswith("boundary") or value.startswith("new segment")


def _event(row: Row, onset_s: float, duration_s: float | None) -> dict[str, Any]:
    others = {column: field for column, field in row.items() if column not in _NOT_A_COLUMN}
    if "recording_id" in others:  # the events table names its own recordings
        others["recording_id_in_file"] = others.pop("recording_id")
    if "trial_type" in others and "value" in others:
        others["marker_value"] = others["value"]
    value = row.get("trial_type") or row.get("value") or ""
    return {**others, "value": value, "onset_s": onset_s, "duration_s": duration_s}


def _finite(text: str | None) -> float | None:
    try:
        number = math.nan if text is None else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
