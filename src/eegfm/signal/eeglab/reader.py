"""Read EEGLAB ``.set`` files, with embedded data or with an ``.fdt`` file.

A ``.set`` may have dozens of fields. The fields that decide signal and time are read and must agree with each other.
The others (ICA, history, positions) are skipped. The meanings follow EEGLAB's ``eeg_checkset.m``.
"""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.companions import companion
from eegfm.signal.config import ReadParams
from eegfm.signal.eeglab.fdt import ArraySamples, FdtSamples, TimeMajor, channel_major
from eegfm.signal.eeglab.fields import Fields, read_fields
from eegfm.signal.header import Annotation, RecordingHeader, Segment, Triggers
from eegfm.signal.matlab.values import Value
from eegfm.signal.montages.electrodes import clean_label
from eegfm.signal.pointers import refuse_pointer
from eegfm.signal.text import stripped
from eegfm.signal.triggers import names_triggers
from eegfm.signal.units import given_unit, unit_uv

UNIT = "uV"
"""Unit of EEGLAB's samples, which no field states."""
RESAVE = "save it again in EEGLAB as one continuous recording, or leave it out"


class EeglabReader:
    """A continuous EEGLAB recording; ``boundary`` events split it into segments.

    EEGLAB counts time without the stretches that were cut out. So do its event latencies, and the BIDS tables made from
    these. A segment therefore starts in recording time where it starts in the file. The seconds that a ``boundary``
    says were cut out are kept as the duration of its annotation only. Time zero is the first sample, whatever ``xmin``
    says.

    Raises:
        RecordingError: The file is no readable ``.set``, holds epochs, has fields that contradict each other or the
            samples, or has samples outside its folder.
    """

    def __init__(self, path: Path, params: ReadParams) -> None:
        fields = read_fields(path, params.max_memory_bytes)
        self._samples, flags = _samples(path, fields)
        annotations, event_flags = _annotations(fields)
        self._unit_uv = unit_uv(UNIT, params.units) or 1.0
        unit_flags = ("unit_taken_from_parameters",) if given_unit(UNIT, params.units) else ()
        self.header = RecordingHeader(
            labels=fields.labels,
            units=(UNIT,) * len(fields.labels),
            rate_hz=fields.rate_hz,
            channel_rates_hz=(fields.rate_hz,) * len(fields.labels),
            n_samples=fields.n_samples,
            segments=_segments(annotations, fields.rate_hz, fields.n_samples),
            annotations=annotations,
            flags=tuple(sorted({*fields.flags, *flags, *event_flags, *unit_flags})),
            triggers=Triggers(unread=tuple(label for label in fields.labels if names_triggers(label))),
        )

    def read_uv(self, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float32]:
        """Read samples [start, stop): (len(channels), stop - start) microvolts.

        Raises:
            RecordingError: The ``.fdt`` has changed since it was opened.
        """
        assert 0 <= start <= stop <= self.header.n_samples, "samples lie inside the recording"
        values = channel_major(self._samples, start, stop, channels)
        if self._unit_uv != 1.0:
            values *= np.float32(self._unit_uv)
        return values


def _samples(path: Path, fields: Fields) -> tuple[TimeMajor, tuple[str, ...]]:
    """The samples, and flags about the file that holds them."""
    if isinstance(fields.data, str):
        fdt_path, flags = _fdt_path(path, fields.data)
        refuse_pointer(fdt_path)
        # Channels that are no electrodes may hold anything, so they are no evidence.
        electrodes = [k for k, label in enumerate(fields.labels) if clean_label(label) is not None]
        return FdtSamples(fdt_path, fields.n_samples, len(fields.labels), electrodes), flags
    wanted = (len(fields.labels), fields.n_samples)
    # A single channel may have been saved as a column.
    data = fields.data.T if wanted[0] == 1 and fields.data.shape == wanted[::-1] else fields.data
    if data.shape != wanted:
        raise RecordingError(
            "data_shape",
            f"{path.name}: data of shape {fields.data.shape}; nbchan and pnts say {wanted}",
            RESAVE,
        )
    return ArraySamples(data.T), ()


def _fdt_path(path: Path, name: str) -> tuple[Path, tuple[str, ...]]:
    """Path of the samples. Files that were renamed together still belong together."""
    stated = companion(path, name)
    if stated.suffix.lower() != ".fdt":
        raise RecordingError(
            "fdt_name",
            f"{path.name}: its samples are said to lie in {name!r}; only .fdt files are read",
            RESAVE,
        )
    renamed = companion(path, f"{path.stem}.fdt")
    if stated == renamed:
        return stated, ()
    if not stated.exists() and renamed.exists():
        return renamed, ("fdt_renamed",)
    # The file may belong to another recording, and it is not the file in a list of side files or checksums.
    return stated, ("fdt_other_name",)


class _Event(NamedTuple):
    kinds: tuple[str, ...]
    latency: float
    duration: float
    is_at_zero: bool


def _annotations(fields: Fields) -> tuple[tuple[Annotation, ...], tuple[str, ...]]:
    """Events in seconds from the first sample (latency 1 in EEGLAB), and flags about omitted events and odd types.

    Several types of one event become one text, with slashes between them. An event at latency 0 is kept at the first
    sample.
    """
    events = [_event(item) for item in fields.events]
    placed = [event for event in events if math.isfinite(event.latency)]
    notes = (
        Annotation((event.latency - 1) / fields.rate_hz, event.duration / fields.rate_hz, "/".join(event.kinds))
        for event in placed
    )
    # Sort by time and text only, because NaN durations have no order.
    ordered = tuple(sorted(notes, key=lambda note: (note.onset_s, note.text)))
    counts = {
        "events_at_zero": sum(event.is_at_zero for event in events),
        "events_with_several_types": sum(len(event.kinds) > 1 for event in events),
        "events_without_type": sum(not event.kinds for event in events),
    }
    without_latency = ("events_without_latency",) if len(placed) < len(events) else ()
    return ordered, (*without_latency, *(f"{name}:{n}" for name, n in counts.items() if n))


def _event(item: dict[str, Value]) -> _Event:
    latency = _scalar(item.get("latency"))
    is_at_zero = latency == 0
    kinds = tuple(_kinds(item.get("type")))
    return _Event(kinds, 1.0 if is_at_zero else latency, _scalar(item.get("duration")), is_at_zero)


def _kinds(value: Value) -> list[str]:
    """Types of an event: of a cell those of all its elements, and none of an empty or unknown value."""
    if isinstance(value, tuple):
        return [kind for element in value for kind in _kinds(element)]
    code = _scalar(value)
    text = stripped(value) if isinstance(value, str) else "" if math.isnan(code) else f"{code:g}"
    return [text] if text else []


def _scalar(value: Value) -> float:
    """A number, or NaN for anything else, such as an empty duration."""
    return float(value.item()) if isinstance(value, np.ndarray) and value.size == 1 else math.nan


def _segments(annotations: Sequence[Annotation], rate_hz: float, n_samples: int) -> tuple[Segment, ...]:
    """Split at ``boundary`` events, which lie half-way between two samples."""
    # If a file was cut while its events were plain numbers, boundaries have the number -99.
    cuts = {
        math.ceil(note.onset_s * rate_hz - 1e-6)
        for note in annotations
        if note.text.lower().startswith("boundary") or note.text == "-99"
    }
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < n_samples), n_samples]
    return tuple(Segment(start, stop, start / rate_hz) for start, stop in itertools.pairwise(edges))
