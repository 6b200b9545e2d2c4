"""Read trigger codes from a channel of an EDF or BDF file, such as BioSemi's ``Status``."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eegfm.signal.edf.calibration import Calibration
from eegfm.signal.edf.channels import EdfChannel
from eegfm.signal.edf.header import EdfHeader
from eegfm.signal.edf.records import EdfRecords
from eegfm.signal.header import Annotation, Segment, Triggers
from eegfm.signal.triggers import CodeEvents, CodeRuns, events_in, names_triggers, preference

# BioSemi keeps the codes in the lower 16 of 24 bits. The upper bits are CMS, battery, speed and the like.
CODE_BITS = 0xFFFF
CHUNK_SAMPLES = 1 << 20
# A code lasts for some samples. A channel that changes more often holds a wave or a counter.
MAX_CHANGES_RATIO = 0.25
MAX_ROUNDING = 0.1

_Digital = NDArray[np.int16] | NDArray[np.int32]
_Decode = Callable[[_Digital], NDArray[np.int64] | None]
"""Function from stored values to codes; None for values that are no codes."""


def read_triggers(header: EdfHeader, records: EdfRecords, segments: Sequence[Segment], n_per_record: int) -> Triggers:
    """Read the codes of the first trigger channel that has any.

    Args:
        header: The header.
        records: The samples.
        segments: Stretches without gaps, in samples of the EEG channels.
        n_per_record: Samples of an EEG channel in each record.
    """
    channels = [c for c in header.channels if c.n_per_record and names_triggers(c.label) and not c.is_annotation]
    codes: tuple[Annotation, ...] = ()
    unread, n_steps = [], 0
    for channel in sorted(channels, key=lambda c: preference(c.label)):
        spans = [(segment.start // n_per_record, segment.stop // n_per_record) for segment in segments]
        ways = (_code_runs(records, channel, way, spans) for way in _decoders(channel, header.sample_bytes))
        stretches = next((runs for runs in ways if runs is not None), None)
        found = None if stretches is None else events_in(stretches)
        if found is None or (codes and any(len(events.codes) for events in found)):
            unread.append(channel.label)
        elif not codes:
            codes = _notes(found, segments, spans, channel)
            n_steps = sum(events.n_steps for events in found)
    return Triggers(codes, tuple(unread), n_steps)


def _notes(
    found: Sequence[CodeEvents], segments: Sequence[Segment], spans: Sequence[tuple[int, int]], channel: EdfChannel
) -> tuple[Annotation, ...]:
    notes = []
    for events, segment, (first, _) in zip(found, segments, spans, strict=True):
        onsets_s = segment.onset_s + (events.starts - first * channel.n_per_record) / channel.rate_hz
        rows = zip(onsets_s.tolist(), (events.lengths / channel.rate_hz).tolist(), events.codes.tolist(), strict=True)
        notes += [Annotation(onset_s, duration_s, str(code)) for onset_s, duration_s, code in rows]
    return tuple(notes)


def _decoders(channel: EdfChannel, sample_bytes: int) -> list[_Decode]:
    """Ways from stored values to codes, the likeliest first."""
    each = channel.calibration
    is_status = sample_bytes == 3 and preference(channel.label) == 0
    if isinstance(each, Calibration) and (each.gain_uv, each.offset_uv) != (1.0, 0.0):
        # A writer may scale codes like any signal, or state the range of the electrodes for BioSemi's numbers as well.
        return [partial(_physical, each), *([_stored] if is_status else [])]
    return [_stored] if is_status or isinstance(each, Calibration) else []


def _stored(values: _Digital) -> NDArray[np.int64]:
    """The stored numbers are the codes."""
    return values.astype(np.int64) & CODE_BITS


def _physical(each: Calibration, values: _Digital) -> NDArray[np.int64] | None:
    """The physical numbers are the codes. They are whole but for rounding; None for others."""
    tolerance = min(abs(each.gain_uv) / 2, MAX_ROUNDING) + 1e-6 * CODE_BITS * abs(each.gain_uv)
    numbers = values * each.gain_uv + each.offset_uv
    codes = np.rint(numbers)
    is_code = (codes >= 0) & (codes <= CODE_BITS) & (np.abs(numbers - codes) <= tolerance)
    return codes.astype(np.int64) if is_code.all() else None


def _code_runs(
    records: EdfRecords,
    channel: EdfChannel,
    decode: _Decode,
    spans: Sequence[tuple[int, int]],
) -> list[CodeRuns] | None:
    """Runs of equal codes between these records; None for a channel that holds no codes."""
    n = channel.n_per_record
    step = max(CHUNK_SAMPLES // n, 1)
    n_samples, n_changes, stretches = 0, 0, []
    for first, last in spans:
        starts, values = [], []
        code = -1  # no code
        for at in range(first, last, step):
            stop = min(at + step, last)
            found = decode(records.digital(channel, at, stop).reshape(-1))
            records.forget(stop - at)
            if found is None:
                return None
            changes = np.flatnonzero(np.diff(found, prepend=code))
            n_samples, n_changes = n_samples + len(found), n_changes + len(changes)
            if n_changes > MAX_CHANGES_RATIO * n_samples + len(spans):
                return None
            starts.append(at * n + changes)
            values.append(found[changes])
            code = int(found[-1])
        stretches.append(CodeRuns(np.concatenate(starts), np.concatenate(values), last * n))
    return stretches
