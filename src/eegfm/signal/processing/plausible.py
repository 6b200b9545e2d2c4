"""Check that amplitudes are those of EEG. This finds a wrong unit or gain that all channels share."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.units import unit_of

# Limits of the robust standard deviation of filtered scalp EEG. It is some microvolts in a calm adult, and tens to a
# hundred or more in children, sleep and seizures. A wrong unit is a factor of a thousand.
PLAUSIBLE_SD_UV = (0.5, 500.0)
# Electrodes come off one by one, not most of them at once.
MAX_IMPLAUSIBLE_RATIO = 0.5
# A wrong prefix of a unit is one of these factors. What it should be is then typical, not only possible.
PREFIXES = (1e3, 1e-3, 1e6, 1e-6, 1e9, 1e-9)
TYPICAL_SD_UV = (2.0, 100.0)
GAUSSIAN_MAD = 0.6745


class StatedUnit(NamedTuple):
    """The unit of most channels of a recording.

    Args:
        name: As the file writes it.
        size_uv: What it is taken for, in microvolts.
    """

    name: str
    size_uv: float


def check_plausible(
    mads_uv: NDArray[np.float64], channel_names: Sequence[str], unit: StatedUnit | None = None
) -> tuple[str, ...]:
    """Check the amplitudes of a recording. Flat channels do not count.

    Args:
        mads_uv: (C,) median absolute deviations of filtered stretches, 0 for a flat channel.
        channel_names: C names for the flags.
        unit: For the message.

    Returns:
        ``implausible_amplitude:<channel>`` for single channels out of range.

    Raises:
        RecordingError: The whole recording is out of range (``implausible_amplitude``).
    """
    sds_uv = mads_uv / GAUSSIAN_MAD
    is_live = mads_uv > 0
    if not is_live.any():
        return ()
    low_uv, high_uv = PLAUSIBLE_SD_UV
    is_out = is_live & ((sds_uv < low_uv) | (sds_uv > high_uv))
    median_uv = float(np.median(sds_uv[is_live]))
    n_out, n_live = int(is_out.sum()), int(is_live.sum())
    if not low_uv <= median_uv <= high_uv or n_out > MAX_IMPLAUSIBLE_RATIO * n_live:
        raise _implausible(median_uv, f", and {n_out} of {n_live} are out of range", unit)
    return tuple(f"implausible_amplitude:{channel_names[c]}" for c in np.flatnonzero(is_out).tolist())


def refuse_faint(sds_uv: NDArray[np.float64], unit: StatedUnit | None = None) -> None:
    """Refuse a recording that varies, but so little that all its channels count as flat.

    Args:
        sds_uv: (C,) standard deviations of filtered stretches; 0 for a channel that keeps one value.
        unit: For the message.

    Raises:
        RecordingError: ``implausible_amplitude``.
    """
    varying_uv = sds_uv[sds_uv > 0]
    if len(varying_uv):
        raise _implausible(float(np.median(varying_uv)), "", unit)


def _implausible(sd_uv: float, others: str, unit: StatedUnit | None) -> RecordingError:
    low_uv, high_uv = PLAUSIBLE_SD_UV
    factor = next((f for f in PREFIXES if TYPICAL_SD_UV[0] <= sd_uv * f <= TYPICAL_SD_UV[1]), None)
    size = "" if factor is None else f": {_times(factor)}, as if the unit were wrong"
    stated = f", unit {unit.name!r}" if unit else ""
    return RecordingError(
        "implausible_amplitude",
        f"the amplitude of the median channel is {sd_uv:.3g} µV (standard deviation{stated}){others}; EEG has "
        f"{low_uv:g} to {high_uv:g} µV{size}",
        _remedy(unit, factor),
    )


def _times(factor: float) -> str:
    return f"{factor:,.0f} times too small" if factor > 1 else f"{1 / factor:,.0f} times too large"


def _remedy(unit: StatedUnit | None, factor: float | None) -> str:
    meant = unit_of(unit.size_uv * factor) if unit and factor else None
    if unit is None or meant is None:
        return "check the unit and the calibration in the file's header, or leave the file out"
    return (
        f"check the unit and the calibration in the file's header; if they are wrong and you know the unit, say so: "
        f"ingest.reading.units: {{{unit.name!r}: {meant}}}; or leave the file out"
    )
