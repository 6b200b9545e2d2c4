"""Cut stretches that annotations call bad out of segments."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from eegfm.signal.header import RecordingHeader, Segment
from eegfm.signal.processing.quality import Span
from eegfm.signal.text import fits

TEXT_COLUMNS = ("value", "marker_value")
CHANNEL_COLUMNS = ("channel", "channels")
_OTHER_MEANING = frozenset({*CHANNEL_COLUMNS, "HED", "stim_file", "recording_id_in_file"})
"""Columns of events whose texts do not describe a stretch."""
CHANNEL_SIGN = "@@"
"""Separator between the text of an EDF+ note and its channel, for notes about one channel."""


class BadStretches(NamedTuple):
    """Stretches that notes call bad.

    Args:
        spans_s: Stretches (start, stop) in recording time; they may overlap and lie outside the recording.
        points_s: Recording times of notes without a duration. The end of the bad stretch is unknown.
        flags: ``bad_without_duration:<n>`` for notes without a duration, ``bad_on_channels:<n>`` for notes about single
            channels, and ``bad_in_other_columns:<n>`` for events that remove nothing, because their value has another
            meaning.
    """

    spans_s: tuple[tuple[float, float], ...] = ()
    points_s: tuple[float, ...] = ()
    flags: tuple[str, ...] = ()


NOTHING_BAD = BadStretches()


def says_bad(event: Mapping[str, Any], patterns: Sequence[str]) -> bool:
    """True if one of an event's texts matches one of the patterns. Case and surrounding blanks do not count.

    The texts are the event's values. If these are empty or numbers (of triggers), the texts of its other columns also
    count.
    """
    values = [str(event[column]) for column in TEXT_COLUMNS if event.get(column)]
    others = () if any(_is_word(value) for value in values) else _other_texts(event)
    return any(fits(text, tuple(patterns)) for text in (*values, *others))


def _is_word(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return True
    return False


def _other_texts(event: Mapping[str, Any]) -> list[str]:
    apart = {*TEXT_COLUMNS, *_OTHER_MEANING}
    return [text for column, text in event.items() if isinstance(text, str) and column not in apart]


def bad_stretches(events: Iterable[Mapping[str, Any]], patterns: Sequence[str]) -> BadStretches:
    """Collect stretches that events call bad. An event that is listed twice counts once.

    Args:
        events: Rows with ``onset_s``, ``duration_s`` (None if unknown), ``value``, and other columns.
        patterns: ``ingest.reading.bad_annotations``.
    """
    spans_s, points_s, on_channels, elsewhere = set(), set(), set(), set()
    for event in events:
        onset_s, duration_s = float(event["onset_s"]), event.get("duration_s") or 0.0
        if not says_bad(event, patterns):
            if any(fits(text, tuple(patterns)) for text in _other_texts(event)):
                elsewhere.add((onset_s, str(event["value"])))
        elif is_on_channels(event):
            on_channels.add((onset_s, str(event["value"])))
        elif math.isfinite(duration_s) and duration_s > 0:
            spans_s.add((onset_s, onset_s + duration_s))
        else:
            points_s.add(onset_s)
    counts = {
        "bad_without_duration": len(points_s),
        "bad_on_channels": len(on_channels),
        "bad_in_other_columns": len(elsewhere),
    }
    flags = tuple(f"{name}:{n}" for name, n in counts.items() if n)
    return BadStretches(tuple(sorted(spans_s)), tuple(sorted(points_s)), flags)


def bad_ones(
    notes: Iterable[dict[str, Any]], events: Iterable[Mapping[str, Any]], patterns: Sequence[str], rate_hz: float
) -> list[dict[str, Any]]:
    """Notes that call a stretch bad and are not among the events.

    An event equals a note if the text is the same, the onset differs by one sample at most, and the event lasts at
    least as long.
    """
    known: dict[str, list[tuple[float, float]]] = {}
    for event in events:
        known.setdefault(event["value"], []).append((event["onset_s"], event.get("duration_s") or 0.0))
    tolerance_s = 1 / rate_hz + 1e-6  # times are written in decimals

    def is_known(note: Mapping[str, Any]) -> bool:
        onset_s, stop_s = note["onset_s"], note["onset_s"] + (note.get("duration_s") or 0.0)
        spans = known.get(note["value"], [])
        return any(abs(a - onset_s) <= tolerance_s and a + d >= stop_s - 2 * tolerance_s for a, d in spans)

    return [note for note in notes if says_bad(note, patterns) and not is_known(note)]


def is_on_channels(event: Mapping[str, Any]) -> bool:
    """True if an event is about some channels only."""
    named = any(event.get(column) for column in CHANNEL_COLUMNS)
    return named or any(CHANNEL_SIGN in str(event.get(column) or "") for column in TEXT_COLUMNS)


def spans_of(bad: BadStretches, header: RecordingHeader) -> list[Span]:
    """The stretches in samples of the file, in order and without overlap. Parts outside the file are left out."""
    found = sorted(span for start_s, stop_s in bad.spans_s for span in header.spans_between(start_s, stop_s))
    merged: list[Span] = []
    for start, stop in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


class Piece(NamedTuple):
    """A part of a segment that is filtered separately, and whether it is bad."""

    segment: Segment
    is_bad: bool


def cut_pieces(segment: Segment, spans: Sequence[Span], rate_hz: float, step: int) -> list[Piece]:
    """Cut a segment where bad stretches begin and end.

    Args:
        segment: The segment.
        spans: Bad stretches in samples of the file, in order and without overlap.
        rate_hz: Rate of the samples.
        step: Cuts lie at multiples of this number of samples from the segment's start. Bad stretches grow to the next
            multiple.

    Returns:
        The pieces in order; together they cover the segment.
    """
    start, stop, onset_s = segment
    edges, is_bad = [start], list[bool]()
    for a, b in spans:
        first = max(start + (a - start) // step * step, edges[-1])
        last = min(start - (start - b) // step * step, stop)
        if last <= first:
            continue
        if first > edges[-1]:
            edges.append(first)
            is_bad.append(False)
        edges.append(last)
        is_bad.append(True)
    if edges[-1] < stop:
        edges.append(stop)
        is_bad.append(False)
    return [
        Piece(Segment(a, b, onset_s + (a - start) / rate_hz), bad)
        for a, b, bad in zip(edges, edges[1:], is_bad, strict=False)
    ]
