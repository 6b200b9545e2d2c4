"""Whether amplitudes are those of an EEG: the last defence against a wrong unit or gain that all channels share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.quality import FLAT_UV

# Robust standard deviation of filtered scalp EEG: some microvolts in a calm adult, tens to a hundred or more in
# children, sleep and seizures. A slip of a unit is a factor of a thousand.
PLAUSIBLE_SD_UV = (0.5, 500.0)
# Electrodes come off one by one, not most of them at once.
MAX_IMPLAUSIBLE_RATIO = 0.5
# Enough for a median that is good to a few percent.
N_LOOKED_AT = 2048
GAUSSIAN_MAD = 0.6745


def check_plausible(blocks_uv: Sequence[NDArray[np.float32]], channel_names: Sequence[str]) -> tuple[str, ...]:
    """Judge the amplitudes of a recording; flat channels have no say.

    Args:
        blocks_uv: (T, C) filtered microvolts each, spread over the recording.
        channel_names: C names, for the flags.

    Returns:
        ``implausible_amplitude:<channel>`` for channels that alone are out of range.

    Raises:
        RecordingError: The recording as a whole is (``implausible_amplitude``).
    """
    sds_uv = robust_sds_uv(blocks_uv)
    is_live = sds_uv >= FLAT_UV
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


def robust_sds_uv(blocks_uv: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """(C,) standard deviations by the median absolute deviation, median over the blocks in which a channel is live."""
    longest = max(len(block) for block in blocks_uv)
    step = max(longest * len(blocks_uv) // N_LOOKED_AT, 1)
    # The few samples left over at the end of a stretch have no spread worth a vote.
    pieces = [block[::step] for block in blocks_uv if 2 * len(block) >= longest]
    mads = np.stack([np.median(np.abs(piece - np.median(piece, axis=0)), axis=0) for piece in pieces])
    out = np.zeros(mads.shape[1])
    for channel, column in enumerate(mads.T):
        live = column[column >= FLAT_UV]
        out[channel] = np.median(live) / GAUSSIAN_MAD if live.size else 0.0
    return out
