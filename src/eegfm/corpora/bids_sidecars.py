"""Side files of EEG-BIDS: find those that apply to a recording, and read them.

Source: the BIDS specification, chapters "Common principles" (inheritance) and "Electroencephalography".
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from eegfm.corpora.side_file_limits import MAX_JSON_BYTES, check_bytes, is_there
from eegfm.corpora.text_tables import Row, is_missing, read_table
from eegfm.errors import RecordingError
from eegfm.json_text import parse_json
from eegfm.recording import Reference
from eegfm.signal.expected import Expected
from eegfm.signal.montages.electrodes import clean_label
from eegfm.signal.text import stripped

NOT_RAW = frozenset({"derivatives", "sourcedata", "code", "stimuli"})
"""Folders of a data set that hold no raw recordings, whatever their contents."""

_NAME = re.compile(
    r"sub-(?P<sub>[A-Za-z0-9]+)(?:_ses-(?P<ses>[A-Za-z0-9]+))?_task-(?P<task>[A-Za-z0-9]+)"
    r"(?:_acq-(?P<acq>[A-Za-z0-9]+))?(?:_run-(?P<run>\d+))?(?:_split-(?P<split>\d+))?_eeg\.(?P<extension>[a-z]+)"
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
    """

    values: Mapping[str, Any]
    files: Mapping[str, Path]

    def number(self, key: str) -> float | None:
        """A positive number; None if the key is absent.

        Raises:
            RecordingError: The value is no positive number.
        """
        value = self.values.get(key)
        if value is None or value == 0 or (isinstance(value, str) and is_missing(value)):
            return None
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            reason = f"{self.files[key].name}: {key} is {repr(value)[:80]}"
            raise RecordingError("unreadable_sidecar", reason, "it must be a positive number or n/a; correct it")
        return number

    @property
    def reference(self) -> Reference | None:
        """The reference that ``EEGReference`` names unambiguously; None for other words or a missing key."""
        return _REFERENCES.get(stripped(str(self.values.get("EEGReference", ""))).casefold())

    @property
    def reference_electrode(self) -> str | None:
        """The single electrode that ``EEGReference`` names, such as FCz; None if it names none or several."""
        return clean_label(str(self.values.get("EEGReference", "")))

    def expected(self, rates_hz: tuple[float, ...] | None = None) -> Expected:
        """Facts that the signal must agree with.

        Args:
            rates_hz: Rates that replace the rate of the side files.

        Raises:
            RecordingError: A value is no number.
        """
        rate_hz, n_channels = self.number("SamplingFrequency"), self.number("EEGChannelCount")
        keys = ("SamplingFrequency", "RecordingDuration", "EEGChannelCount")
        return Expected(
            rates_hz=rates_hz if rates_hz is not None else (rate_hz,) if rate_hz else (),
            duration_s=self.number("RecordingDuration"),
            n_channels=round(n_channels) if n_channels else None,
            source=" and ".join(sorted({self.files[key].name for key in keys if key in self.files})),
        )


def read_eeg_json(path: Path) -> SideFacts:
    """Merge the ``*_eeg.json`` files that apply to a recording. The most specific file wins, key by key.

    Raises:
        RecordingError: A file is no JSON object (``unreadable_sidecar``).
    """
    values: dict[str, Any] = {}
    files: dict[str, Path] = {}
    for place in map(Path, inherited(path.as_posix(), "eeg.json")):
        if is_there(place):
            found = read_json(place)
            values |= found
            files |= dict.fromkeys(found, place)
    return SideFacts(values, files)


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON side file.

    Raises:
        RecordingError: The file is no JSON object (``unreadable_sidecar``).
    """
    try:
        check_bytes(path, MAX_JSON_BYTES)
        found = parse_json(path.read_text(encoding="utf-8-sig"))
        if not isinstance(found, dict):
            raise ValueError("it is no object")
    except ValueError as error:
        raise RecordingError(
            "unreadable_sidecar", f"{path.name}: not readable as JSON ({error})", "correct it, or fetch it again"
        ) from error
    return found


def read_events(path: Path, own_columns: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Rows of ``*_events.tsv``: ``onset_s``, ``duration_s`` (None if unknown), ``value``, and its other columns.

    ``value`` is the table's ``trial_type``, which names the event. Without ``trial_type`` it is the table's ``value``,
    which may be the number of a trigger. If a table has both columns, its ``value`` is kept as ``marker_value``.

    Args:
        path: The table.
        own_columns: Further columns of the corpus whose names match in any case, like those of the specification.

    Raises:
        RecordingError: The table cannot be read (``unreadable_events``). Guessed events would be worse than none.
    """
    try:
        return [_event(row) for row in read_table(path, ["onset"], (*_EVENT_COLUMNS, *own_columns))]
    except ValueError as error:
        raise RecordingError(
            "unreadable_events",
            f"{path.name}: not readable as a BIDS table of events ({error})",
            "every event needs a number under onset, and a number or n/a under duration",
        ) from error


def is_boundary(event: Mapping[str, Any]) -> bool:
    """Whether the signal is discontinuous at an event: EEGLAB's ``boundary``, BrainVision's ``New Segment``."""
    value = stripped(str(event["value"])).lower()
    return value.endswith("boundary") or value.startswith("new segment")


def _event(row: Row) -> dict[str, Any]:
    onset_s = _finite(row["onset"], "onset")
    duration_s = None if row.get("duration") is None else _finite(row["duration"], "duration")
    others = {column: field for column, field in row.items() if column not in _NOT_A_COLUMN}
    if "recording_id" in others:  # the events table names its own recordings
        others["recording_id_in_file"] = others.pop("recording_id")
    if "trial_type" in others and "value" in others:
        others["marker_value"] = others["value"]
    value = row.get("trial_type") or row.get("value") or ""
    return {**others, "value": value, "onset_s": onset_s, "duration_s": duration_s}


def _finite(text: str | None, column: str) -> float:
    number = float(text) if text is not None else math.nan
    if not math.isfinite(number):
        raise ValueError(f"{column} is {text or 'n/a'}")
    return number
