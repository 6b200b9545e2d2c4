"""Annotation lists (TALs) of EDF+ and BDF+: start times of records, and annotations.

Source: Kemp & Olivan 2003, section 2.2.2. The first list of every record starts with ``+onset`` and an empty text. A
list ends with a zero byte, a text with 0x14. A duration follows 0x15.
"""

import itertools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.header import Annotation, Segment
from eegfm.signal.text import stripped

_TAL = re.compile(rb"([+-]\d{1,9}(?:\.\d*)?)(?:\x15(\d{1,9}(?:\.\d*)?))?\x14(.*)\x14", re.DOTALL)
# Onsets are written in decimals. A smaller step than this is rounding, not a gap.
ONSET_TOLERANCE_S = 1e-3
MAX_DECIMALS = 7
# Tolerance of a whole number, so that binary fractions do not count as decimals.
EXACT = 1e-4


class Notes(NamedTuple):
    """Contents of the annotation channels: the onset of each record (None if it states none), and the notes."""

    onsets_s: tuple[float | None, ...]
    annotations: tuple[Annotation, ...]
    n_damaged: int


def parse_records(records: Sequence[Sequence[bytes]]) -> Notes:
    """Parse the annotation bytes of all records; texts come without the blanks around them.

    Args:
        records: Per record, the bytes of each annotation channel; the first channel keeps the time.
    """
    onsets: list[float | None] = []
    notes: list[Annotation] = []
    n_damaged = 0
    for channels in records:
        onset, keep_time = None, True
        for raw in channels:
            for chunk in raw.rstrip(b"\0").split(b"\0"):
                found = _parse_tal(chunk) if chunk else []
                if found is None:
                    n_damaged += 1
                elif keep_time and found and found[0].text == "":
                    onset = found[0].onset_s
                notes.extend(note._replace(text=text) for note in found or () if (text := stripped(note.text)))
                # Only the very first list of a record keeps the time.
                keep_time = False
        onsets.append(onset)
    return Notes(tuple(onsets), tuple(notes), n_damaged)


def _parse_tal(chunk: bytes) -> list[Annotation] | None:
    match = _TAL.fullmatch(chunk)
    if match is None:
        return None
    duration_s = float(match[2]) if match[2] else math.nan
    return [Annotation(float(match[1]), duration_s, _text(text)) for text in match[3].split(b"\x14")]


def _text(raw: bytes) -> str:
    """UTF-8 by the standard, Latin-1 in practice."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def known_onsets(notes: Notes, file_name: str) -> NDArray[np.float64] | None:
    """Onsets of all records in seconds, or None when the annotation channels are absent or blank.

    Raises:
        RecordingError: Some records do not state their onset although lists are written (``damaged_records``). Bytes
            were lost, shifted or overwritten, so the samples of these records cannot be trusted either.
    """
    n_missing = sum(onset is None for onset in notes.onsets_s)
    if n_missing == len(notes.onsets_s) and not notes.annotations and not notes.n_damaged:
        return None
    if n_missing:
        raise RecordingError(
            "damaged_records",
            f"{file_name}: {n_missing} of {len(notes.onsets_s)} records do not state when they start",
            "fetch the file again",
        )
    return np.array(notes.onsets_s, dtype=np.float64)


def split_segments(
    onsets_s: NDArray[np.float64], record_s: float, n_per_record: int, file_name: str
) -> tuple[Segment, ...]:
    """Split a file where the onsets of its records jump. Time zero is the start of the first record.

    Raises:
        RecordingError: Records overlap or run backwards (``record_order``), or start at regular intervals that are
            not their duration (``record_duration``).
    """
    tolerance_s = _tolerance_s(onsets_s, record_s, n_per_record)
    jumps_s = np.diff(onsets_s) - record_s
    _check_duration(jumps_s, tolerance_s, record_s, file_name)
    if (jumps_s < -tolerance_s).any():
        at = int(np.argmax(jumps_s < -tolerance_s)) + 1
        raise RecordingError(
            "record_order",
            f"{file_name}: record {at + 1} starts at {onsets_s[at]:g} s, before the end of the one before",
            "sort the records by time, or leave the file out",
        )
    starts = [0, *(np.flatnonzero(jumps_s > tolerance_s) + 1).tolist(), len(onsets_s)]
    return tuple(
        Segment(first * n_per_record, last * n_per_record, float(onsets_s[first] - onsets_s[0]))
        for first, last in itertools.pairwise(starts)
    )


def _check_duration(jumps_s: NDArray[np.float64], tolerance_s: float, record_s: float, file_name: str) -> None:
    """Refuse regular jumps. They are no gaps: the record duration is wrong, and with it the rate."""
    regular_s = float(np.median(jumps_s)) if len(jumps_s) > 1 else 0.0
    n_regular = int(np.count_nonzero(np.abs(jumps_s - regular_s) <= tolerance_s))
    if abs(regular_s) > tolerance_s and 2 * n_regular > len(jumps_s):
        raise RecordingError(
            "record_duration",
            f"{file_name}: record duration is {record_s:g} s, but records start every {record_s + regular_s:g} s",
            "correct the record duration, or leave the file out",
        )


def has_clock_drift(
    onsets_s: NDArray[np.float64], segments: Sequence[Segment], record_s: float, n_per_record: int
) -> bool:
    """True if stated onsets and counted samples drift apart by over half a sample within a segment.

    A single step below the tolerance is rounding. Many steps in one direction mean another clock.
    """
    tolerance_s = _tolerance_s(onsets_s, record_s, n_per_record)
    for segment in segments:
        first, last = segment.start // n_per_record, segment.stop // n_per_record
        counted_s = onsets_s[first] + record_s * np.arange(last - first)
        if np.abs(onsets_s[first:last] - counted_s).max() > tolerance_s:
            return True
    return False


def _tolerance_s(onsets_s: NDArray[np.float64], record_s: float, n_per_record: int) -> float:
    """Tolerance of the distance of two onsets: half a sample, or the last decimal that is written."""
    return max(ONSET_TOLERANCE_S, 0.5 * record_s / n_per_record, _rounding_s(onsets_s, record_s))


def _rounding_s(onsets_s: NDArray[np.float64], record_s: float) -> float:
    """The last decimal of the onsets, if the record duration needs more decimals; 0 if nothing is rounded."""
    for decimals in range(MAX_DECIMALS):
        steps = onsets_s * 10.0**decimals
        if np.abs(steps - np.rint(steps)).max() < EXACT:
            break
    record_steps = record_s * 10.0**decimals
    return 0.0 if abs(record_steps - round(record_steps)) < EXACT else min(10.0**-decimals, record_s / 2)
