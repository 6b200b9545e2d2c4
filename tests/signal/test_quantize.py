from itertools import pairwise

import numpy as np
import pytest

from eegfm.signal.quantize import quantize, robust_scale_uv, spread_pieces
from eegfm.signal.reader import Segment


def clean(n=6000, sd_uv=(5.0, 20.0, 80.0), seed=0):
    return (np.random.default_rng(seed).standard_normal((n, len(sd_uv))) * sd_uv).astype(np.float32)


def test_clean_signals_lose_nothing_that_matters():
    scales = robust_scale_uv([clean(seed=1), clean(seed=2)])
    x = clean(60_000, seed=3)
    steps, n_clipped = quantize(x, scales)
    assert (steps.dtype, scales.dtype, n_clipped) == (np.int16, np.float32, 0)
    error = steps.astype(np.float64) * scales - x
    snr_db = 10 * np.log10((x.astype(np.float64) ** 2).sum(axis=0) / (error**2).sum(axis=0))
    assert (snr_db > 80).all()


def test_values_are_rounded_to_the_nearest_step():
    scales = np.array([0.5, 2.0], dtype=np.float32)
    x = np.array([[0.24, 3.01], [0.26, -2.99], [-0.76, 1.01]], dtype=np.float32)
    steps, _ = quantize(x, scales)
    np.testing.assert_array_equal(steps, [[0, 2], [1, -1], [-2, 1]])


def test_clipped_values_are_counted_exactly_and_stay_at_full_scale():
    x = np.zeros((100, 2), dtype=np.float32)
    x[[3, 5, 9], 0] = [32767.4, 32768.0, -1e9]
    x[7, 1] = -32767.0
    steps, n_clipped = quantize(x, np.ones(2, dtype=np.float32))
    assert n_clipped == 2
    np.testing.assert_array_equal(steps[[3, 5, 9], 0], [32767, 32767, -32767])
    assert steps[7, 1] == -32767


def test_one_artefact_does_not_set_the_scale():
    x = clean()
    x[100, 1] = 1e5
    scales = robust_scale_uv([x])
    mad = np.median(np.abs(x[:, 1]))
    assert scales[1] * 32767 == pytest.approx(40 * mad, rel=0.02)
    _, n_clipped = quantize(x, scales)
    assert n_clipped == 1


def test_a_calm_sample_leaves_room_for_what_follows():
    x = np.random.default_rng(0).uniform(-10, 10, (6000, 1)).astype(np.float32)
    assert robust_scale_uv([x])[0] * 32767 == pytest.approx(15 * 5, rel=0.02)


def test_full_scale_leaves_headroom_above_blinks():
    x = clean()
    x[1000:1020, 1] += 300
    assert robust_scale_uv([x])[1] * 32767 > 1.5 * np.abs(x[:, 1]).max()


def test_a_flat_channel_gets_one_microvolt_per_step():
    x = clean()
    x[:, 2] = 0
    scales = robust_scale_uv([x, x])
    assert scales[2] == 1.0
    assert (scales[:2] < 0.1).all()


def test_a_channel_that_is_dead_for_most_of_the_time_is_scaled_by_its_life():
    x, dead = clean(), clean()
    dead[:, 1] = 0
    found = robust_scale_uv([dead, dead, x, dead])
    np.testing.assert_allclose(found, robust_scale_uv([x]), rtol=1e-6)


def test_a_short_rest_has_no_vote():
    x = clean()
    np.testing.assert_allclose(robust_scale_uv([x, x[:3] * 0.01]), robust_scale_uv([x]), rtol=1e-6)


def test_pieces_cover_a_minute_spread_over_the_recording():
    pieces = spread_pieces([Segment(0, 180_000, 0.0)], 100.0)
    assert sum(b - a for a, b in pieces) >= 6000
    assert pieces[0][0] == 0
    assert pieces[-1][1] == 180_000
    assert all(a[1] <= b[0] for a, b in pairwise(pieces))


def test_short_recordings_are_taken_whole():
    segments = [Segment(0, 4000, 0.0), Segment(4000, 8000, 90.0)]
    assert spread_pieces(segments, 100.0) == [(0, 4000), (4000, 8000)]


def test_pieces_never_cross_a_gap():
    segments = [Segment(0, 10_500, 0.0), Segment(10_500, 11_000, 500.0), Segment(11_000, 40_000, 900.0)]
    pieces = spread_pieces(segments, 100.0)
    assert sum(b - a for a, b in pieces) >= 6000
    for start, stop in pieces:
        assert any(s.start <= start < stop <= s.stop for s in segments)
