"""Parse the markers (``.vmrk``) of BrainVision recordings."""

import re
from pathlib import Path
from typing import NamedTuple

from eegfm.signal.brainvision.fields import text_of, whole
from eegfm.signal.text import stripped

NEW_SEGMENT = "New Segment"
_MARKER = re.compile(r"Mk\d+\s*=(.*)", re.IGNORECASE)


class Marker(NamedTuple):
    """One line of a marker file.

    Args:
        kind: ``Stimulus``, ``Response``, ``New Segment``, ….
        text: Description.
        position: Sample, counted from 0.
        n_samples: Length.
    """

    kind: str
    text: str
    position: int
    n_samples: int


class Markers(NamedTuple):
    """Contents of a marker file.

    Args:
        markers: In file order.
        flags: ``damaged_markers`` for lines that are no markers. ``markers_at_zero:<n>`` for markers before the first
            sample, which has position 1. They are kept at the first sample.
    """

    markers: tuple[Marker, ...] = ()
    flags: tuple[str, ...] = ()


def read_vmrk(path: Path) -> Markers:
    """Read a marker file.

    Raises:
        RecordingError: The file cannot be read (``unreadable``).
    """
    markers, n_damaged, n_at_zero = [], 0, 0
    for line in text_of(path).splitlines():
        match = _MARKER.match(stripped(line))
        if match is None:
            continue
        fields = [stripped(field) for field in match[1].split(",")]
        position = whole(fields[2]) if len(fields) > 2 else None
        if position is None:
            n_damaged += 1
            continue
        n_at_zero += position == 0
        n_samples = whole(fields[3]) if len(fields) > 3 else None
        kind, text = (field.replace(r"\1", ",") for field in fields[:2])
        markers.append(Marker(kind, text, max(position - 1, 0), n_samples or 0))
    flags = [*(["damaged_markers"] if n_damaged else []), *([f"markers_at_zero:{n_at_zero}"] if n_at_zero else [])]
    return Markers(tuple(markers), tuple(flags))
