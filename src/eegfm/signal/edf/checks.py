"""Check the samples of an EDF or BDF file against its header: positions of records, ranges of values.

A record holds the channels one after the other. If bytes were lost or inserted, all later records are read across the
borders of channels. Two things prove the opposite: annotation lists in their place, and traces that continue smoothly
from each record to the next while they jump from channel to channel.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.edf.calibration import Calibration
from eegfm.signal.edf.channels import EdfChannel
from eegfm.signal.edf.header import EdfHeader
from eegfm.signal.edf.records import EdfRecords

# Number of channel borders that suffice together. One border between neighbouring electrodes of a dense cap tells
# little.
MIN_BORDERS = 96
MIN_WINDOW_RECORDS = 8
MIN_JUNCTIONS = 4
# Mean logarithm of the step within a channel over the step between channels. It is about -1 for real EEG, +1 if records
# are shifted by whole samples, and 0 if they are shifted by single bytes, or for noise.
MAX_EVIDENCE = -0.3
# Share of the low bytes of a record that may be all zeros or all ones. For random bytes it is below a hundredth.
MAX_EMPTY_RATIO = 0.5
# Constant bytes after the last record are padding if there are more of them than chance explains.
MIN_PADDING_BYTES = 8
# Number of bytes that shows whether carriage returns and line feeds come in pairs.
LOOKED_AT_BYTES = 1 << 24
# Number of records in which values are compared with the stated range.
N_LOOKED_AT = 32
# Number of samples for a median that is accurate to a few percent.
MEDIAN_SAMPLES = 4096
# An electrode is off centre if its median is this many robust deviations off zero, and this many times as far as the
# median of any other electrode.
MIN_OFF_CENTRE = 0.6
MIN_OFF_CENTRE_RATIO = 3.0
MIN_COMPARED = 4
GAUSSIAN_MAD = 0.6745


def n_aligned_records(header: EdfHeader, records: EdfRecords, has_onsets: bool, path: Path) -> int:
    """Number of records that provably lie where they are read, in a file with extra bytes.

    Bytes may have been inserted into the last records. No later record shows this, so the last records are left out
    unless their annotation lists are in place or the extra bytes are padding.

    Args:
        header: Header with ``n_extra_bytes`` above 0.
        records: Its records.
        has_onsets: Whether an annotation channel states when each record starts, in order.
        path: Path for messages.

    Raises:
        RecordingError: The records are not proven to be aligned (``shifted_records``, ``text_mode``).
    """
    has_whole_records = header.n_extra_bytes % header.record_bytes == 0
    n_unsure = 1
    if not has_onsets and not _is_padding(header, records):
        window = _window_records(header)
        if not _follow_on(border_evidence(header, records), window) or not _have_low_bytes(header, records):
            raise shifted(header, path)
        n_unsure = window
    if has_whole_records or _is_padding(header, records) or (has_onsets and _ends_in_annotations(header)):
        return header.n_records
    if header.n_records <= n_unsure:
        raise shifted(header, path)
    return header.n_records - n_unsure


def _follow_on(evidence: NDArray[np.float64], window: int) -> bool:
    """True if every stretch of records shows smooth transitions from record to record. A short file is one stretch."""
    window = min(window, len(evidence))
    if window < MIN_JUNCTIONS:
        return False
    means = np.convolve(evidence, np.full(window, 1 / window), "valid")
    return bool((means < MAX_EVIDENCE).all())


def _have_low_bytes(header: EdfHeader, records: EdfRecords) -> bool:
    """True if low bytes vary in every record.

    If one byte was lost, the low byte of a sample is the high byte of another. Except for the largest values this byte
    holds only the sign. The trace is then as smooth as before, and 256 times as high.
    """
    channels = header.signals
    n_empty, n_telling = np.zeros(header.n_records), np.zeros(header.n_records)
    for channel in channels:
        values = records.digital(channel)
        is_telling = (values != 0) & (values != -1)
        low = values & 255
        n_telling += np.count_nonzero(is_telling, axis=1)
        n_empty += np.count_nonzero(is_telling & ((low == 0) | (low == 255)), axis=1)
    return bool((n_empty <= MAX_EMPTY_RATIO * n_telling).all())


def shifted(header: EdfHeader, path: Path) -> RecordingError:
    """The error for shifted records, with the cause if it is visible."""
    with path.open("rb") as file:
        file.seek(header.header_bytes)
        data = file.read(LOOKED_AT_BYTES)
    n_lines = data.count(b"\n")
    if n_lines > 1 and n_lines == data.count(b"\r\n"):
        return RecordingError(
            "text_mode",
            f"{path.name}: each of {n_lines} line feeds follows a carriage return, as after a transfer as text",
            "fetch the file again in binary mode",
        )
    return RecordingError(
        "shifted_records",
        f"{path.name}: {header.n_extra_bytes} bytes more than its records take, and the records are not shown to be "
        "where they should be: bytes may have slipped in",
        "fetch the file again",
    )


def border_evidence(header: EdfHeader, records: EdfRecords) -> NDArray[np.float64]:
    """Evidence for a smooth transition from each record to the next.

    Returns:
        (n - 1,) mean logarithm of the steps from record to record within a channel, over the steps from channel to
        channel within the record, for all n records that the file has room for; zeros where there are no two channels.
    """
    n_there = header.n_records + header.n_extra_bytes // header.record_bytes
    header = replace(header, n_records=n_there)
    records = records.resized(n_there)
    channels = header.signals
    first, last = (_edge_values(header, records, channels, at) for at in (0, -1))
    within = np.log(np.abs(first[:, 1:] - last[:, :-1]) + 1).mean(axis=0)
    neighbours = [i for i in range(1, len(channels)) if _follows(channels[i], channels[i - 1])]
    if not neighbours:
        return np.zeros(n_there - 1)
    across = np.log(np.abs(first[neighbours, 1:] - last[[i - 1 for i in neighbours], 1:]) + 1).mean(axis=0)
    return np.asarray(within - across)


def value_flags(header: EdfHeader, records: EdfRecords) -> set[str]:
    """Flags for samples that do not fit the ranges that the header states.

    ``outside_digital_range`` marks samples beyond the range, which some writers produce. ``offset_disagrees:<label>``
    marks an electrode that does not swing around zero while all others do: one of its limits is wrong, or it drifts.
    """
    flags: set[str] = set()
    off_centre: dict[str, float] = {}
    step = -(-header.n_records // N_LOOKED_AT)
    full = 1 << (8 * header.sample_bytes - 1)
    is_fitted = len({_physical(channel) for channel in header.electrodes}) > len(header.electrodes) / 2
    for channel in header.electrodes:
        each = channel.calibration
        assert isinstance(each, Calibration), "faults of electrodes reject the file"
        is_narrow = each.digital_min > -full or each.digital_max < full - 1
        if not (is_narrow or is_fitted):
            continue
        values = records.digital(channel, 0, header.n_records, step)
        if is_narrow and (values.min() < each.digital_min or values.max() > each.digital_max):
            flags.add("outside_digital_range")
        if is_fitted:
            off_centre[channel.label] = _off_centre(values, each)
    return flags | _offset_flags(off_centre)


def _offset_flags(off_centre: dict[str, float]) -> set[str]:
    if len(off_centre) < MIN_COMPARED:
        return set()
    *_, second, _ = sorted(off_centre.values())
    limit = max(MIN_OFF_CENTRE, MIN_OFF_CENTRE_RATIO * second)
    return {f"offset_disagrees:{label}" for label, value in off_centre.items() if value > limit}


def _off_centre(values: NDArray[np.int16] | NDArray[np.int32], each: Calibration) -> float:
    """Distance of a trace's median from zero, in robust standard deviations; 0 for a still trace."""
    values = values.reshape(-1)[:: -(-values.size // MEDIAN_SAMPLES)]
    median = float(np.median(values))
    deviation_uv = float(np.median(np.abs(values - median))) / GAUSSIAN_MAD * abs(each.gain_uv)
    return abs(median * each.gain_uv + each.offset_uv) / deviation_uv if deviation_uv else 0.0


def _physical(channel: EdfChannel) -> tuple[float, float]:
    each = channel.calibration
    return (each.physical_min, each.physical_max) if isinstance(each, Calibration) else (0.0, 0.0)


def _is_padding(header: EdfHeader, records: EdfRecords) -> bool:
    """True if the bytes after the last record are all equal, and differ from the last bytes of the record."""
    extra = records.extra_bytes()
    return bool(
        header.n_extra_bytes >= MIN_PADDING_BYTES
        and (extra == extra[0]).all()
        and (records.last_bytes(MIN_PADDING_BYTES) != extra[0]).any()
    )


def _window_records(header: EdfHeader) -> int:
    return max(MIN_WINDOW_RECORDS, -(-MIN_BORDERS // len(header.signals)))


def _ends_in_annotations(header: EdfHeader) -> bool:
    """True if the last bytes of each record are an annotation list."""
    return [channel for channel in header.channels if channel.n_per_record][-1].is_annotation


def _edge_values(
    header: EdfHeader, records: EdfRecords, channels: Sequence[EdfChannel], at: int
) -> NDArray[np.float64]:
    """(channels, n_records) first or last sample of every record."""
    return np.stack([records.digital(c, 0, header.n_records)[:, at].astype(np.float64) for c in channels])


def _follows(channel: EdfChannel, before: EdfChannel) -> bool:
    return channel.offset == before.offset + before.n_per_record
