"""Read EEGLAB ``.set`` files, with embedded data or with an ``.fdt`` file.

Of the dozens of fields a ``.set`` may have, those that decide on signal and time are read and must agree with each
other; the others (ICA, history, positions) are stepped over. Meanings after EEGLAB's ``eeg_checkset.m``.
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
from eegfm.signal.header import Annotation, RecordingHeader, Segment
from eegfm.signal.matlab.values import Value
from eegfm.signal.text import stripped

RESAVE = "save it again in EEGLAB as one continuous recording, or leave it out"


class EeglabReader:
    """A continuous EEGLAB recording; ``boundary`` events split it into segments.

    EEGLAB counts time without what was cut out, and so do its event latencies and the BIDS tables made from them:
    a segment starts in recording time where it starts in the file, and the seconds that a ``boundary`` says were cut
    out stand as the duration of its annotation only. Time zero is the first sample, whatever ``xmin`` says.

    Raises:
        RecordingError: Not a readable ``.set``, epochs, fields that contradict each other or the samples, or
            samples outside the folder of the ``.set``.
    """

    def __init__(self, path: Path, params: ReadParams) -> None:
        fields = read_fields(path, params.max_memory_bytes)
        self._samples, flags = _samples(path, fields)
        annotations, event_flags = _annotations(fields)
        self.header = RecordingHeader(
            labels=fields.labels,
            units=("uV",) * len(fields.labels),
            rate_hz=fields.rate_hz,
            channel_rates_hz=(fields.rate_hz,) * len(fields.labels),
            n_samples=fields.n_samples,
            segments=_segments(annotations, fields.rate_hz, fields.n_samples),
            annotations=annotations,
            flags=tuple(sorted({*fields.flags, *flags, *event_flags})),
        )

    def read_uv(self, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float32]:
        """Read samples [start, stop): (len(channels), stop - start) microvolts.

        Raises:
            RecordingError: The ``.fdt`` has changed since it was opened.
        """
        assert 0 <= start <= stop <= self.header.n_samples, "samples lie inside the recording"
        return channel_major(self._samples, start, stop, channels)


def _samples(path: Path, fields: Fields) -> tuple[TimeMajor, tuple[str, ...]]:
    """The samples, and flags about where they were found."""
    if isinstance(fields.data, str):
        fdt_path, flags = _fdt_path(path, fields.data)
        return FdtSamples(fdt_path, fields.n_samples, len(fields.labels)), flags
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
    """Where the samples lie; files that were renamed together still belong together."""
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
    # It may be that of another recording, and is not the one that a list of side files or checksums names.
    return stated, ("fdt_other_name",)


class _Event(NamedTuple):
    kind: str
    latency: float
    duration: float


def _annotations(fields: Fields) -> tuple[tuple[Annotation, ...], tuple[str, ...]]:
    """Events in seconds from the first sample, which EEGLAB calls latency 1; and flags about those left out."""
    events = [_event(item) for item in fields.events]
    placed = [event for event in events if math.isfinite(event.latency)]
    notes = (
        Annotation((event.latency - 1) / fields.rate_hz, event.duration / fields.rate_hz, event.kind)
        for event in placed
    )
    # NaN sorts nowhere: by time and text only.
    ordered = tuple(sorted(notes, key=lambda note: (note.onset_s, note.text)))
    return ordered, ("events_without_latency",) if len(placed) < len(events) else ()


def _event(item: dict[str, Value]) -> _Event:
    kind = item.get("type")
    code = _scalar(kind)
    text = stripped(kind) if isinstance(kind, str) else "" if math.isnan(code) else f"{code:g}"
    return _Event(text, _scalar(item.get("latency")), _scalar(item.get("duration")))


def _scalar(value: Value) -> float:
    """A number, or NaN for anything else, as an empty duration is."""
    return float(value.item()) if isinstance(value, np.ndarray) and value.size == 1 else math.nan


def _segments(annotations: Sequence[Annotation], rate_hz: float, n_samples: int) -> tuple[Segment, ...]:
    """Split at ``boundary`` events, which lie half-way between two samples."""
    # A file that was cut while its events were plain numbers marks boundaries as -99.
    cuts = {
        math.ceil(note.onset_s * rate_hz - 1e-6)
        for note in annotations
        if note.text.lower().startswith("boundary") or note.text == "-99"
    }
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < n_samples), n_samples]
    return tuple(Segment(start, stop, start / rate_hz) for start, stop in itertools.pairwise(edges))
