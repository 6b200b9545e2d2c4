"""Quantise microvolts to int16 with one scale per recording and channel, and invert this with one product."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eegfm.signal.header import Segment
from eegfm.signal.processing.quality import FLAT_UV, flat_channels

FULL_SCALE = 32767
# Full scale in multiples of the median absolute deviation. At 15 (ten standard deviations of a Gaussian) the rounding
# error lies 81 dB below the signal. Beyond 40 an artefact would set the scale.
MIN_MADS = 15.0
MAX_MADS = 40.0
# Number of stretches whose median gives the deviation of a channel. A third of a recording may be dead without effect.
N_VOTES = 12
# The whole recording may reach higher values than its sampled pieces.
PEAK_HEADROOM = 2.0
# Number of values that are quantised at once, so that all steps stay in the cache.
PIECE_VALUES = 1 << 17


def spread_pieces(
    segments: Sequence[Segment], rate_hz: float, total_s: float = 60.0, n_pieces: int = 6
) -> list[tuple[int, int]]:
    """Choose stretches, spread evenly over a recording, from which its scales are estimated.

    Args:
        segments: Stretches without gaps; no piece crosses from one to the next.
        rate_hz: Rate of the samples.
        total_s: Least length of all pieces together, if the recording is that long.
        n_pieces: Number of pieces of a recording in one segment.

    Returns:
        (start, stop) in samples of the file; all whole segments if the recording is shorter.
    """
    n_total = sum(s.stop - s.start for s in segments)
    n_wanted = int(np.ceil(total_s * rate_hz))
    if n_total <= n_wanted * 1.5:
        return [(s.start, s.stop) for s in segments if s.stop > s.start]
    n_each = -(-n_wanted // n_pieces)
    # Pieces are laid out on the signal without its gaps, then cut where a segment ends.
    firsts = np.linspace(0, n_total - n_each, n_pieces).astype(np.int64).tolist()
    pieces, before = [], 0
    for segment in segments:
        for first in firsts:
            start = max(segment.start, segment.start + first - before)
            stop = min(segment.stop, segment.start + first + n_each - before)
            if start < stop:
                pieces.append((start, stop))
        before += segment.stop - segment.start
    return pieces


def channel_mads_uv(blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Median absolute deviation of each channel: the median over the stretches in which the channel is alive.

    Args:
        blocks: (T, C) filtered microvolts each; at least one block, best 60 s in total from the whole recording.

    Returns:
        (C,) microvolts; 0 for a channel that is never alive.
    """
    n_each = -(-sum(len(block) for block in blocks) // N_VOTES)
    voters = [block[k : k + n_each] for block in blocks for k in range(0, len(block), n_each)]
    # The few remaining samples at the end of a stretch are too few for a deviation.
    longest = max(len(voter) for voter in voters)
    voters = [voter for voter in voters if 2 * len(voter) >= longest]
    # The band-pass has removed the mean, so deviations are taken from zero.
    mads = np.stack([np.median(np.abs(block), axis=0, overwrite_input=True) for block in voters])
    alive = np.where(mads >= FLAT_UV, mads, np.nan).astype(np.float64)
    out = np.zeros(mads.shape[1])
    lives = ~np.isnan(alive).all(axis=0)
    out[lives] = np.nanmedian(alive[:, lives], axis=0)
    return out


def robust_scale_uv(
    blocks: Sequence[NDArray[np.float32]], mads_uv: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """Microvolts per integer step of each channel, from filtered stretches of the recording.

    Full scale is twice the highest value of these stretches, but at least 15 and at most 40 times the median absolute
    deviation. A flat channel gets 1 uV.

    Args:
        blocks: (T, C) filtered microvolts each, see ``channel_mads_uv``.
        mads_uv: Result of ``channel_mads_uv`` for these blocks, if known.

    Returns:
        (C,) microvolts per step.
    """
    mads = channel_mads_uv(blocks) if mads_uv is None else mads_uv
    peaks = np.max([np.abs(block).max(axis=0) for block in blocks], axis=0)
    full_uv = PEAK_HEADROOM * peaks.astype(np.float64)
    lives = mads > 0
    full_uv[lives] = np.clip(full_uv[lives], MIN_MADS * mads[lives], MAX_MADS * mads[lives])
    scales = np.where(flat_channels(blocks), 1.0, full_uv / FULL_SCALE)
    return scales.astype(np.float32)


def quantize(block_uv: NDArray[np.float32], scales: NDArray[np.float32]) -> tuple[NDArray[np.int16], int]:
    """Round to the nearest step; values beyond full scale are clipped and counted.

    Args:
        block_uv: (T, C) finite microvolts.
        scales: (C,) microvolts per step.

    Returns:
        (T, C) int16, and the number of clipped values.
    """
    out = np.empty(block_uv.shape, dtype=np.int16)
    per_uv = 1 / scales
    n_rows = max(PIECE_VALUES // block_uv.shape[1], 1)
    steps = np.empty((min(n_rows, len(out)), block_uv.shape[1]), dtype=np.float32)
    n_clipped = 0
    for top in range(0, len(out), n_rows):
        piece = steps[: len(out) - top]
        piece[:] = block_uv[top : top + n_rows]
        piece *= per_uv
        np.rint(piece, out=piece)
        highest, lowest = piece.max(), piece.min()
        assert np.isfinite([highest, lowest]).all(), "values are finite: others are replaced when they are read"
        if highest > FULL_SCALE or lowest < -FULL_SCALE:
            n_clipped += int(np.count_nonzero(np.abs(piece) > FULL_SCALE))
            np.clip(piece, -FULL_SCALE, FULL_SCALE, out=piece)
        out[top : top + n_rows] = piece
    return out, n_clipped
