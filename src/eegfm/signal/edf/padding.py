"""Find the samples that an exporter appended to fill the last record of an EDF or BDF file.

Records have one length, so exporters repeat the last value, or write zeros or the lowest value. Tails of a few tenths
of a second are found here, from their samples alone. Longer ones are dead spans, see
``eegfm.signal.processing.quality``.
"""

import math

import numpy as np
from numpy.typing import NDArray

from eegfm.signal.edf.calibration import Calibration
from eegfm.signal.edf.channels import EdfChannel
from eegfm.signal.edf.header import EdfHeader
from eegfm.signal.edf.records import EdfRecords

# Longer stretches of constants are dead spans.
MAX_PADDING_S = 0.3
# Seconds before the end that show how the signal itself behaves.
LOOKED_AT_S = 10.0
# Number of values, over all channels that move at all, that must agree.
MIN_EQUAL_VALUES = 12
# Repeated values are also found at the end of a signal that is quiet for a moment.
MIN_REPEATED_SAMPLES = 3
# Number of channels of which it is no chance that all have one value.
MIN_CHANNELS_OF_ONE_VALUE = 4
# A short tail of a common value is padding only if the signal jumps there: a jump in typical steps of the channels.
MIN_JUMP_STEPS = 2.0


def n_padded(header: EdfHeader, records: EdfRecords, rate_hz: float) -> int:
    """Number of samples at the end of each electrode that are padding; 0 if there is none, or no proof of it.

    In the tail, no electrode of those that move at all changes its value. Nowhere before do they keep their values
    together for half as long.

    Args:
        header: The header.
        records: Its records.
        rate_hz: Rate of the electrodes that are looked at.
    """
    channels = [c for c in header.electrodes if c.rate_hz == rate_hz]
    if not channels:
        return 0
    longest = min(channels[0].n_per_record - 1, math.floor(MAX_PADDING_S * rate_hz))
    if not _may_end_in_padding(channels, records, header.n_records):
        return 0
    values = _last_values(channels, records, header, round(LOOKED_AT_S * rate_hz))
    is_moving = (values != values[:, :1]).any(axis=1)
    channels = [channel for channel, moves in zip(channels, is_moving, strict=True) if moves]
    values = values[is_moving]
    if not channels:
        return 0
    is_fill = _are_fill(values, channels)
    if is_fill[-1]:
        return _n_filled(values, is_fill, longest)
    return _n_repeated(values, longest)


def _may_end_in_padding(channels: list[EdfChannel], records: EdfRecords, n_records: int) -> bool:
    """A quick look at the last two samples: almost no other file has equal ones, or one value, in all channels."""
    last = np.concatenate([records.digital(c, n_records - 1, n_records)[:, -2:] for c in channels]).astype(np.int64)
    return bool((last[:, 0] == last[:, -1]).all() or _are_fill(last, channels)[-1])


def _last_values(channels: list[EdfChannel], records: EdfRecords, header: EdfHeader, n: int) -> NDArray[np.int64]:
    """(C, T) digital values before the end, T up to ``n``."""
    first = max(header.n_records - -(-n // channels[0].n_per_record), 0)
    return np.stack([records.digital(c, first, header.n_records).reshape(-1)[-n:] for c in channels]).astype(np.int64)


def _are_fill(values: NDArray[np.int64], channels: list[EdfChannel]) -> NDArray[np.bool_]:
    """(T,) whether all channels have a value that exporters write: zero, an end of the range, or one for all."""
    calibrations = [c.calibration for c in channels if isinstance(c.calibration, Calibration)]
    lowest = np.array([[each.digital_min] for each in calibrations])
    highest = np.array([[each.digital_max] for each in calibrations])
    zero = np.array([[-each.offset_uv / each.gain_uv] for each in calibrations])
    # Zero microvolts may lie half-way between two digital values.
    kinds = (values == lowest, values == highest, values == 0, np.abs(values - zero) < 0.501)
    is_fill = np.any([kind.all(axis=0) for kind in kinds], axis=0)
    if len(channels) >= MIN_CHANNELS_OF_ONE_VALUE:
        is_fill |= (values == values[:1]).all(axis=0)
    return np.asarray(is_fill)


def _n_filled(values: NDArray[np.int64], is_fill: NDArray[np.bool_], longest: int) -> int:
    """Length of a tail that was filled up with one value per channel, and follows a jump if it is short."""
    steps = np.diff(values)
    n = min(_n_last(is_fill), _n_last((steps == 0).all(axis=0)) + 1)
    if n > longest or n * len(values) < MIN_EQUAL_VALUES or n <= 2 * _longest_run(is_fill[:-n]):
        return 0
    typical = np.median(np.abs(steps[:, :-n]), axis=1)
    jumps = np.abs(steps[:, -n])
    has_jumped = bool(np.median(jumps / np.maximum(typical, 1)) > MIN_JUMP_STEPS)
    return n if has_jumped or n >= MIN_REPEATED_SAMPLES else 0


def _n_repeated(values: NDArray[np.int64], longest: int) -> int:
    """Length of a tail that repeats each channel's last value. The value itself was recorded."""
    is_still = (np.diff(values) == 0).all(axis=0)
    n = _n_last(is_still)
    if n < MIN_REPEATED_SAMPLES or n > longest or n * len(values) < MIN_EQUAL_VALUES:
        return 0
    return n if n > 2 * _longest_run(is_still[:-n]) + 1 else 0


def _n_last(flags: NDArray[np.bool_]) -> int:
    """Number of True at the end."""
    return int(np.argmin(flags[::-1])) if not flags.all() else flags.size


def _longest_run(flags: NDArray[np.bool_]) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
