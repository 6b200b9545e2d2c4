"""Read EDF, EDF+ and BDF recordings at their native rate."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.edf.annotations import Notes, has_clock_drift, known_onsets, parse_records, split_segments
from eegfm.signal.edf.checks import n_aligned_records, shifted, value_flags
from eegfm.signal.edf.fields import FETCH_AGAIN
from eegfm.signal.edf.header import EdfChannel, EdfHeader, read_header
from eegfm.signal.edf.records import EdfRecords
from eegfm.signal.expected import SANE_RATES_HZ
from eegfm.signal.header import Annotation, RecordingHeader, Segment


class EdfReader:
    """A recording in EDF, EDF+ or BDF; samples are read from the mapped file on demand.

    Nothing is resampled here, so a faster or slower auxiliary channel does not change the EEG channels.

    Args:
        path: The file.
        params: Units and accepted faults.

    Raises:
        RecordingError: The header, the record onsets or the place of the records fail a check.
    """

    def __init__(self, path: Path, params: ReadParams) -> None:
        self._path = path
        edf = read_header(path, params)
        self._rate_hz = _eeg_rate_hz(edf.channels, path.name)
        self._records = EdfRecords(path, edf)
        notes = parse_records(_annotation_bytes(edf, self._records))
        self._edf = self._aligned(edf, notes)
        self.header = self._describe(notes)

    def read_uv(self, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float32]:
        """Read samples [start, stop): (len(channels), stop - start) microvolts.

        Raises:
            RecordingError: A channel has another rate (``mixed_rates``) or no valid calibration.
        """
        assert 0 <= start <= stop <= self.header.n_samples, "samples lie inside the recording"
        out = np.empty((len(channels), stop - start), dtype=np.float32)
        for row, index in enumerate(channels):
            channel = self._edf.channels[index]
            if isinstance(channel.calibration, RecordingError):
                raise channel.calibration
            if channel.rate_hz != self._rate_hz:
                raise RecordingError(
                    "mixed_rates",
                    f"{self._path.name}: {channel.label!r} has {channel.rate_hz:g} Hz, "
                    f"most EEG channels have {self._rate_hz:g} Hz",
                    "leave this channel or the file out",
                )
            self._records.read_uv(channel, channel.calibration, start, out[row])
        self._records.forget(round((stop - start) / self._rate_hz / self._edf.record_s) + 1)
        return out

    def _aligned(self, edf: EdfHeader, notes: Notes) -> EdfHeader:
        """The header, with the number of records that are provably in place."""
        if not edf.n_extra_bytes:
            return edf
        try:
            has_onsets = known_onsets(notes, self._path.name) is not None
        except RecordingError as error:
            raise shifted(edf, self._path) from error
        return replace(edf, n_records=n_aligned_records(edf, self._records, has_onsets, self._path))

    def _describe(self, notes: Notes) -> RecordingHeader:
        edf = self._edf
        flags = set(edf.flags) | value_flags(edf, self._records)
        n_per_record = round(self._rate_hz * edf.record_s)
        segments, annotations = self._timeline(notes, n_per_record, flags)
        if len({c.rate_hz for c in edf.channels if not c.is_annotation}) > 1:
            flags.add("other_rates")
        if not math.isclose(self._rate_hz, round(self._rate_hz), rel_tol=1e-9):
            # Few amplifiers have such a rate, but every file with a wrong record duration has one.
            flags.add("fractional_rate")
        if edf.n_lost:
            flags.add(f"lost_s:{edf.n_lost * edf.record_s:g}")
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

    def _timeline(
        self, notes: Notes, n_per_record: int, flags: set[str]
    ) -> tuple[tuple[Segment, ...], tuple[Annotation, ...]]:
        """Segments and annotations; adds to the flags."""
        edf, name = self._edf, self._path.name
        if notes.n_damaged:
            flags.add("damaged_annotations")
        onsets_s = known_onsets(notes, name)
        if onsets_s is None:
            self._without_onsets(flags)
            whole = Segment(0, n_per_record * edf.n_records, 0.0)
            return (whole,), tuple(sorted(notes.annotations))
        onsets_s = onsets_s[: edf.n_records]
        segments = split_segments(onsets_s, edf.record_s, n_per_record, name)
        if len(segments) > 1:
            flags.add("gaps" if edf.kind == "D" else "gaps_in_continuous_file")
        if has_clock_drift(onsets_s, segments, edf.record_s, n_per_record):
            flags.add("record_clock_drift")
        # Time zero is the first sample, not the whole second of the header's start time.
        shifted_notes = (note._replace(onset_s=note.onset_s - onsets_s[0]) for note in notes.annotations)
        return segments, tuple(sorted(shifted_notes))

    def _without_onsets(self, flags: set[str]) -> None:
        edf = self._edf
        if edf.kind == "D":
            raise RecordingError(
                "no_record_onsets",
                f"{self._path.name}: declared to have gaps, but its records do not state when they start",
                "fetch the file again, or leave it out",
            )
        if edf.kind or any(c.is_annotation for c in edf.channels):
            flags.add("no_record_onsets")


def _annotation_bytes(edf: EdfHeader, records: EdfRecords) -> list[list[bytes]]:
    channels = [channel for channel in edf.channels if channel.is_annotation]
    return [[records.text(channel, record) for channel in channels] for record in range(edf.n_records)]


def _eeg_rate_hz(channels: Sequence[EdfChannel], file_name: str) -> float:
    """Rate of most electrodes; without electrodes, of most channels labelled EEG; without these, of most channels.

    Raises:
        RecordingError: No EEG has such a rate (``sampling_rate``).
    """
    signals = [channel for channel in channels if not channel.is_annotation]
    electrodes = [c for c in signals if c.is_electrode]
    named_eeg = [c for c in signals if c.label.upper().startswith("EEG")]
    rates = [c.rate_hz for c in electrodes or named_eeg or signals]
    rate_hz = max(sorted(set(rates), reverse=True), key=rates.count)
    low, high = SANE_RATES_HZ
    if not low <= rate_hz <= high:
        found = f"{file_name}: a sampling rate of {rate_hz:g} Hz; {low:g} to {high:g} Hz is allowed"
        raise RecordingError("sampling_rate", found, FETCH_AGAIN)
    return rate_hz
