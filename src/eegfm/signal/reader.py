"""What every reader of recordings offers, and the choice of the reader by the file's first bytes."""

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.matfile import is_matlab

EDF_MAGIC = b"0       "
BDF_MAGIC = b"\xffBIOSEMI"
BRAINVISION_HEADER = re.compile(rb"(\xef\xbb\xbf)?\s*Brain ?Vision[\w -]* Header File", re.IGNORECASE)


class Segment(NamedTuple):
    """A stretch without gaps: samples [start, stop) of the file, and when its first sample was recorded."""

    start: int
    stop: int
    onset_s: float


class Annotation(NamedTuple):
    """A note in a file; onset in recording time (gaps counted), NaN for a duration that is not given."""

    onset_s: float
    duration_s: float
    text: str


@dataclass(frozen=True)
class RecordingHeader:
    """What a file says about its recording.

    Args:
        labels: Channel labels as written in the file, annotation channels included.
        units: Units as written in the file.
        rate_hz: Rate of the EEG channels; only channels of this rate can be read.
        channel_rates_hz: Native rate of every channel.
        n_samples: Samples of one EEG channel, all segments together.
        segments: Stretches without gaps in file order.
        patient: Patient field of the header, or "".
        recording: Recording field of the header, or "".
        annotations: Notes in time order. Time zero is the first sample.
        flags: Faults that leave signal and timing intact, as short stable identifiers.
    """

    labels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float
    channel_rates_hz: tuple[float, ...]
    n_samples: int
    segments: tuple[Segment, ...]
    patient: str = ""
    recording: str = ""
    annotations: tuple[Annotation, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Seconds of signal, gaps not counted."""
        return self.n_samples / self.rate_hz

    def position_of(self, time_s: float) -> float | None:
        """Position of a recording time in samples of the file; None in a gap or outside the recording."""
        for segment in self.segments:
            position = segment.start + (time_s - segment.onset_s) * self.rate_hz
            # Half a sample of tolerance: onsets are written in decimals, samples lie where they lie.
            if segment.start - 0.5 <= position < segment.stop - 0.5:
                return max(position, float(segment.start))
        return None

    @property
    def end_s(self) -> float:
        """Recording time behind the last sample, gaps counted."""
        last = self.segments[-1]
        return last.onset_s + (last.stop - last.start) / self.rate_hz

    def spans_between(self, start_s: float, stop_s: float) -> list[tuple[int, int]]:
        """Samples [start, stop) of each segment that lie between two recording times, those half in it too."""
        spans = []
        for segment in self.segments:
            # Times are written in decimals: a sample is hit within a millionth.
            first = math.floor((start_s - segment.onset_s) * self.rate_hz + 1e-6)
            last = math.ceil((stop_s - segment.onset_s) * self.rate_hz - 1e-6)
            start, stop = max(segment.start, segment.start + first), min(segment.stop, segment.start + last)
            if start < stop:
                spans.append((start, stop))
        return spans

    def split_at(self, times_s: Iterable[float]) -> "RecordingHeader":
        """The same recording with segments that end at these recording times too.

        A time between two samples splits there, a time at a sample before it; times in gaps split nothing.
        """
        positions = [position for time_s in times_s if (position := self.position_of(time_s)) is not None]
        # Onsets are written in decimals: a sample is hit within a millionth.
        cuts = sorted({math.ceil(position - 1e-6) for position in positions})
        segments: list[Segment] = []
        for start, stop, onset_s in self.segments:
            edges = [start, *(cut for cut in cuts if start < cut < stop), stop]
            segments += [Segment(a, b, onset_s + (a - start) / self.rate_hz) for a, b in itertools.pairwise(edges)]
        return replace(self, segments=tuple(segments))


class SignalReader(Protocol):
    """One open recording."""

    @property
    def header(self) -> RecordingHeader:
        """What the file says about its recording."""
        ...

    def read_uv(self, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float32]:
        """Read samples [start, stop) of the channels with these indices.

        Returns:
            (len(channels), stop - start) microvolts at ``header.rate_hz``.

        Raises:
            RecordingError: A channel has another rate, an unknown unit or no valid calibration.
        """
        ...


def open_reader(path: Path, params: ReadParams | None = None) -> SignalReader:
    """Open a recording: EDF, EDF+, BDF, EEGLAB ``.set`` or the header of a BrainVision recording.

    The first bytes decide, not the name: files with swapped extensions are read for what they are.

    Args:
        path: The file.
        params: What is known and forgiven; nothing special when not given.

    Raises:
        RecordingError: The file cannot be opened, is of no known format, or fails a check of its format.
    """
    from eegfm.signal.brainvision import BrainVisionReader
    from eegfm.signal.edf import EdfReader
    from eegfm.signal.eeglab import EeglabReader

    path, params = Path(path), params or ReadParams()
    start = first_bytes(path, 256)
    suffix = path.suffix.lower()
    if is_matlab(start):
        return EeglabReader(path, params)
    if suffix == ".vhdr" and BRAINVISION_HEADER.match(start):
        return BrainVisionReader(path, params)
    if suffix in {".edf", ".bdf", ".rec"} or looks_like_edf(start):
        return EdfReader(path, params)
    raise RecordingError(
        "unknown_format",
        f"{path.name}: {describe_start(start)}",
        "readable are EDF, EDF+, BDF, EEGLAB .set and BrainVision .vhdr files",
    )


def first_bytes(path: Path, n_bytes: int) -> bytes:
    """Read the start of a file.

    Raises:
        RecordingError: It does not exist, is no file or may not be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(n_bytes)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RecordingError("unreadable", f"{path}: {reason}", "check that the file is there and readable") from error


def looks_like_edf(start: bytes) -> bool:
    """Whether a file starts as EDF or BDF does (version field; NUL for blank is common and harmless)."""
    version = start[:8].replace(b"\0", b" ")
    return len(version) == 8 and (version in {EDF_MAGIC, BDF_MAGIC})


def describe_start(start: bytes) -> str:
    """Say what a file seems to be by its first bytes."""
    if not start:
        return "the file is empty"
    if not start.strip(b"\0"):
        return "the file starts with zero bytes only, as an unfinished download does"
    kinds = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"%PDF": "PDF"}
    for magic, name in kinds.items():
        if start.startswith(magic):
            return f"the file is {name} data"
    if start.lstrip()[:1] == b"<":
        return "the file is an HTML or XML page"
    return f"the file starts with {start[:8]!r}"
