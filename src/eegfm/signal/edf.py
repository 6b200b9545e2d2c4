"""EDF, EDF+ and BDF recordings: mapped, checked, and read at their native rate."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.edf_annotations import has_clock_drift, known_onsets, parse_records, split_segments
from eegfm.signal.edf_header import FETCH_AGAIN, EdfChannel, EdfHeader, read_header
from eegfm.signal.electrodes import clean_label
from eegfm.signal.reader import Annotation, RecordingHeader, Segment

SANE_RATES_HZ = (1.0, 1e5)


class EdfReader:
    """A recording in EDF, EDF+ or BDF; samples are read from the mapped file on demand.

    A faster or slower auxiliary channel leaves the EEG channels as they are: nothing is resampled here.

    Raises:
        RecordingError: The header or the record onsets fail a check.
    """

    def __init__(self, path: Path, params: ReadParams) -> None:
        self._path = path
        self._edf = read_header(path, params)
        self._records = _map_records(path, self._edf)
        self._rate_hz = _eeg_rate_hz(self._edf.channels, path.name)
        self.header = self._describe()

    def read_uv(self, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float32]:
        """Read samples [start, stop): (len(channels), stop - start) microvolts.

        Raises:
            RecordingError: A channel has another rate (``mixed_rates``) or no valid calibration.
        """
        assert 0 <= start <= stop <= self.header.n_samples, "samples lie inside the recording"
        out = np.empty((len(channels), stop - start), dtype=np.float32)
        for row, index in enumerate(channels):
            self._read_channel(self._edf.channels[index], start, out[row])
        return out

    def _read_channel(self, channel: EdfChannel, start: int, out: NDArray[np.float32]) -> None:
        if isinstance(channel.calibration, RecordingError):
            raise channel.calibration
        if channel.rate_hz != self._rate_hz:
            raise RecordingError(
                "mixed_rates",
                f"{self._path.name}: {channel.label!r} has {channel.rate_hz:g} Hz, "
                f"most EEG channels have {self._rate_hz:g} Hz",
                "leave this channel or the file out",
            )
        n = channel.n_per_record
        first, last = start // n, -(-(start + out.size) // n)
        digital = self._digital(channel, first, last)[start - first * n :][: out.size]
        # Double precision until the end: a large offset would eat the digits of a small gain.
        exact = digital.astype(np.float64)
        exact *= channel.calibration.gain_uv
        exact += channel.calibration.offset_uv
        out[:] = exact

    def _digital(self, channel: EdfChannel, first: int, last: int) -> NDArray[np.int32] | NDArray[np.int16]:
        """Digital values of records [first, last) as one row."""
        width = self._edf.sample_bytes
        at = channel.offset * width
        raw = self._records[first:last, at : at + channel.n_per_record * width]
        if width == 2:
            return np.ascontiguousarray(raw).view("<i2").reshape(-1)
        # The three bytes go to the top of four, so that shifting down extends the sign.
        padded = np.zeros((raw.size // 3, 4), dtype=np.uint8)
        padded[:, 1:] = raw.reshape(-1, 3)
        return padded.view("<i4").reshape(-1) >> 8

    def _describe(self) -> RecordingHeader:
        edf = self._edf
        flags = set(edf.flags)
        n_per_record = round(self._rate_hz * edf.record_s)
        segments, annotations = self._timeline(n_per_record, flags)
        if len({c.rate_hz for c in edf.channels if not c.is_annotation}) > 1:
            flags.add("other_rates")
        return RecordingHeader(
            labels=tuple(c.label for c in edf.channels),
            units=tuple(c.unit for c in edf.channels),
            rate_hz=self._rate_hz,
            channel_rates_hz=tuple(c.rate_hz for c in edf.channels),
            n_samples=n_per_record * edf.n_records,
            segments=segments,
            patient=edf.patient,
            recording=edf.recording,
            annotations=annotations,
            flags=tuple(sorted(flags)),
        )

    def _timeline(self, n_per_record: int, flags: set[str]) -> tuple[tuple[Segment, ...], tuple[Annotation, ...]]:
        """Segments and annotations; adds to the flags."""
        edf, name = self._edf, self._path.name
        notes = parse_records(self._annotation_bytes())
        if notes.n_damaged:
            flags.add("damaged_annotations")
        onsets_s = known_onsets(notes, name)
        if onsets_s is None:
            self._without_onsets(flags)
            whole = Segment(0, n_per_record * edf.n_records, 0.0)
            return (whole,), tuple(sorted(notes.annotations))
        segments = split_segments(onsets_s, edf.record_s, n_per_record, name)
        if len(segments) > 1:
            flags.add("gaps" if edf.is_discontinuous else "gaps_in_continuous_file")
        if has_clock_drift(onsets_s, segments, edf.record_s, n_per_record):
            flags.add("record_clock_drift")
        # Time zero is the first sample, not the full second of the header's start time.
        shifted = (note._replace(onset_s=note.onset_s - onsets_s[0]) for note in notes.annotations)
        return segments, tuple(sorted(shifted))

    def _without_onsets(self, flags: set[str]) -> None:
        if self._edf.is_discontinuous:
            raise RecordingError(
                "no_record_onsets",
                f"{self._path.name}: declared to have gaps, but its records do not state when they start",
                "fetch the file again, or leave it out",
            )
        if any(c.is_annotation for c in self._edf.channels):
            flags.add("no_record_onsets")

    def _annotation_bytes(self) -> list[list[bytes]]:
        width = self._edf.sample_bytes
        spans = [(c.offset * width, (c.offset + c.n_per_record) * width) for c in self._edf.channels if c.is_annotation]
        if not spans:
            return [[] for _ in range(self._edf.n_records)]
        return [[record[a:b].tobytes() for a, b in spans] for record in self._records]


def _map_records(path: Path, edf: EdfHeader) -> NDArray[np.uint8]:
    """All records as a (n_records, record_bytes) view of the file."""
    shape = (edf.n_records, edf.record_bytes)
    try:
        mapped = np.memmap(path, dtype=np.uint8, mode="r", offset=edf.header_bytes, shape=shape)
    except (OSError, ValueError) as error:
        raise RecordingError("unreadable", f"{path.name}: {error}", "check the file and its permissions") from error
    # A plain view: memmap's own slicing costs more than the samples of a short record.
    return np.asarray(mapped).view(np.ndarray)


def _eeg_rate_hz(channels: Sequence[EdfChannel], file_name: str) -> float:
    """Rate that most electrodes share; failing those, most channels labelled EEG; failing those, most.

    Raises:
        RecordingError: A rate no EEG has (``sampling_rate``).
    """
    signals = [channel for channel in channels if not channel.is_annotation]
    electrodes = [c for c in signals if clean_label(c.label)]
    named_eeg = [c for c in signals if c.label.upper().startswith("EEG")]
    rates = [c.rate_hz for c in electrodes or named_eeg or signals]
    rate_hz = max(sorted(set(rates), reverse=True), key=rates.count)
    low, high = SANE_RATES_HZ
    if not low <= rate_hz <= high:
        found = f"{file_name}: a sampling rate of {rate_hz:g} Hz; {low:g} to {high:g} Hz is allowed"
        raise RecordingError("sampling_rate", found, FETCH_AGAIN)
    return rate_hz
