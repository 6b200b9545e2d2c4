"""Check that amplitudes are those of EEG. This finds a wrong unit or gain that all channels share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError

# Limits of the robust standard deviation of filtered scalp EEG. It is some microvolts in a calm adult, and tens to a
# hundred or more in children, sleep and seizures. A wrong unit is a factor of a thousand.
PLAUSIBLE_SD_UV = (0.5, 500.0)
# Electrodes come off one by one, not most of them at once.
MAX_IMPLAUSIBLE_RATIO = 0.5
GAUSSIAN_MAD = 0.6745


def check_plausible(mads_uv: NDArray[np.float64], channel_names: Sequence[str]) -> tuple[str, ...]:
    """Check the amplitudes of a recording. Flat channels do not count.

    Args:
        mads_uv: (C,) median absolute deviations of filtered stretches, 0 for a flat channel.
        channel_names: C names for the flags.

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
        raise RecordingError(
            "implausible_amplitude",
            f"the median channel has a standard deviation of {median_uv:.3g} µV, and {n_out} of {n_live} are out of "
            f"range; EEG has {low_uv:g} to {high_uv:g} µV",
            "check the unit and the calibration in the file's header, or leave the file out",
        )
    return tuple(f"implausible_amplitude:{channel_names[c]}" for c in np.flatnonzero(is_out).tolist())
