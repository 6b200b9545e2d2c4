"""Events that a recording's own file holds: notes and trigger codes."""

import math
from typing import Any

from eegfm.signal.config import ReadParams
from eegfm.signal.header import RecordingHeader
from eegfm.signal.processing.bad_stretches import says_bad


def annotation_events(header: RecordingHeader) -> list[dict[str, Any]]:
    """The annotations of a file as rows of the events table."""
    return [
        {"onset_s": a.onset_s, "duration_s": None if math.isnan(a.duration_s) else a.duration_s, "value": a.text}
        for a in header.annotations
    ]


def file_events(header: RecordingHeader, reading: ReadParams) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Events that the file itself holds, as rows of the events table, and flags.

    These are its annotations. A file whose annotations only call stretches bad has its events in its trigger channel,
    if at all. Codes beside other annotations are not taken, because writers keep the same events in both places.
    """
    notes = annotation_events(header)
    if any(not says_bad(note, reading.bad_annotations) for note in notes):
        return notes, triggers_beside(header)
    codes = [{"onset_s": c.onset_s, "duration_s": c.duration_s, "value": c.text} for c in header.triggers.codes]
    unread = () if codes else tuple(f"triggers_not_read:{'_'.join(name.split())}" for name in header.triggers.unread)
    n_steps = header.triggers.n_steps
    return [*notes, *codes], (*unread, *((f"trigger_steps:{n_steps}",) if n_steps else ()))


def triggers_beside(header: RecordingHeader) -> tuple[str, ...]:
    """A flag that counts the trigger codes of a recording whose events are known from elsewhere."""
    n_codes = len(header.triggers.codes)
    return (f"triggers_beside_events:{n_codes}",) if n_codes else ()
