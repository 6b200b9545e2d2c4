"""Types that all readers of recordings share."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from eegfm.signal.rates import exact_fraction


class Segment(NamedTuple):
    """A stretch without gaps: samples [start, stop) of the file, and the time of its first sample."""

    start: int
    stop: int
    onset_s: float


class Annotation(NamedTuple):
    """A note in a file. The onset is in recording time (gaps counted); an unknown duration is NaN."""

    onset_s: float
    duration_s: float
    text: str


class Triggers(NamedTuple):
    """Triggers that a recording keeps in a channel of its own.

    Args:
        codes: Events with the code as text, in time order.
        unread: Labels of further trigger channels, whose contents are not read as codes.
        n_steps: Codes of one sample that are left out, because the lines of a code switched one after the other.
    """

    codes: tuple[Annotation, ...] = ()
    unread: tuple[str, ...] = ()
    n_steps: int = 0


NO_TRIGGERS = Triggers()


@dataclass(frozen=True)
class RecordingHeader:
    """Facts about a recording from its file.

    Args:
        labels: Channel labels as written in the file, annotation channels included.
        units: Units as written in the file.
        rate_hz: Rate of the EEG channels; only channels of this rate can be read.
        channel_rates_hz: Native rate of every channel.
        n_samples: Samples of one EEG channel in the file.
        segments: Stretches without gaps in file order. The last one ends before the padding of the last record.
        patient: Patient field of the header, or "".
        recording: Recording field of the header, or "".
        annotations: Notes in time order. Time zero is the first sample.
        flags: Faults that leave signal and timing intact, as short stable identifiers.
        stated_rate_hz: The rate as the file states it, without rounding; None where the file states a rounded number.
        triggers: Events in a channel of trigger codes; their onsets count as those of notes.
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
    triggers: Triggers = NO_TRIGGERS
    stated_rate_hz: Fraction | None = None

    @cached_property
    def exact_rate_hz(self) -> Fraction:
        """The rate as a fraction, so that sample counts of long recordings are exact."""
        return exact_fraction(self.rate_hz) if self.stated_rate_hz is None else self.stated_rate_hz

    @property
    def duration_s(self) -> float:
        """Seconds of signal, gaps not counted."""
        return self.n_samples / self.rate_hz

    def position_of(self, time_s: float) -> float | None:
        """Position of a recording time in samples of the file; None in a gap or outside the recording."""
        for segment in self.segments:
            position = segment.start + (time_s - segment.onset_s) * self.rate_hz
            # Half a sample of tolerance, because onsets are written in decimals.
            if segment.start - 0.5 <= position < segment.stop - 0.5:
                return max(position, float(segment.start))
        return None

    @property
    def end_s(self) -> float:
        """Recording time at the end of the file's last sample, gaps and padding counted."""
        last = self.segments[-1]
        return last.onset_s + (self.n_samples - last.start) / self.rate_hz

    def spans_between(self, start_s: float, stop_s: float) -> list[tuple[int, int]]:
        """Samples [start, stop) of each segment between two recording times, including partly covered samples."""
        spans = []
        for segment in self.segments:
            # Times are written in decimals, so a sample is hit within a millionth.
            first = math.floor((start_s - segment.onset_s) * self.rate_hz + 1e-6)
            last = math.ceil((stop_s - segment.onset_s) * self.rate_hz - 1e-6)
            start, stop = max(segment.start, segment.start + first), min(segment.stop, segment.start + last)
            if start < stop:
                spans.append((start, stop))
        return spans

    def split_at(self, times_s: Iterable[float]) -> "RecordingHeader":
        """The same recording with segments that are also split at these recording times.

        A time between two samples splits between them. A time at a sample splits before it. A time in a gap splits
        nothing.
        """
        positions = [position for time_s in times_s if (position := self.position_of(time_s)) is not None]
        # Onsets are written in decimals, so a sample is hit within a millionth.
        cuts = sorted({math.ceil(position - 1e-6) for position in positions})
        segments: list[Segment] = []
        for start, stop, onset_s in self.segments:
            edges = [start, *(cut for cut in cuts if start < cut < stop), stop]
            segments += [Segment(a, b, onset_s + (a - start) / self.rate_hz) for a, b in itertools.pairwise(edges)]
        return replace(self, segments=tuple(segments))


def faulty_channel_flag(label: str, index: int) -> str:
    """Flag of a channel that is no electrode and that the file describes wrongly. It is left out.

    Args:
        label: Its label; a channel without one is named by its place. Characters that do not print become ``?``.
        index: Its place, from 0.
    """
    shown = "".join(character if character.isprintable() else "?" for character in label)
    return f"other_channel_faulty:{shown or f'#{index + 1}'}"


class SignalReader(Protocol):
    """One open recording."""

    @property
    def header(self) -> RecordingHeader:
        """Facts about the recording from its file."""
        ...

    def read_uv(self, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float32]:
        """Read samples [start, stop) of the channels with these indices.

        Returns:
            (len(channels), stop - start) microvolts at ``header.rate_hz``.

        Raises:
            RecordingError: A channel has another rate, an unknown unit or no valid calibration.
        """
        ...
