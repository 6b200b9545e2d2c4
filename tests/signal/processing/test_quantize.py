from itertools import pairwise

import numpy as np
import pytest

from eegfm.signal.header import Segment
from eegfm.signal.processing.quantize import quantize, robust_scale_uv, spread_pieces


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


@pytest.mark.parametrize("value", [40_000.0, -40_000.0])
def test_a_value_beyond_one_end_alone_is_clipped_too(value):
    steps, n_clipped = quantize(np.array([[0.0], [value]], dtype=np.float32), np.ones(1, dtype=np.float32))
    assert (steps[1, 0], n_clipped) == (np.sign(value) * 32767, 1)


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
    np.testing.assert_allclose(found, robust_scale_uv([x]), rtol=0.03)


def test_a_third_of_one_stretch_is_outvoted():
    x = clean(12_000)
    dead = x.copy()
    dead[:4000] *= 1e-3
    np.testing.assert_allclose(robust_scale_uv([dead]), robust_scale_uv([x]), rtol=0.05)


def test_a_short_rest_has_no_vote():
    x = clean()
    np.testing.assert_allclose(robust_scale_uv([x, x[:3] * 0.01]), robust_scale_uv([x]), rtol=0.03)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_samples", [0, 1, 70_000])
def test_pieces_of_a_block_are_quantised_alike(n_samples, order):
    # Longer than what is quantised at once; memory may be time-major or channel-major.
    x = np.asarray(clean(n_samples), order=order)
    x[n_samples // 2 :, 1] += 1000
    scales = np.array([0.001, 0.03, 0.01], dtype=np.float32)
    steps, n_clipped = quantize(x, scales)
    wanted = np.rint(x.astype(np.float64) / scales)
    assert steps.flags.c_contiguous
    assert n_clipped == (np.abs(wanted) > 32767).sum()
    # A value half-way between two steps may go either way in single precision.
    assert np.abs(steps - wanted.clip(-32767, 32767)).max(initial=0) <= 1
    assert (steps != wanted.clip(-32767, 32767)).mean() < 0.01 if n_samples > 1 else True


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_a_mistake_of_ours(bad):
    x = clean(200)
    x[17, 1] = bad
    with pytest.raises(AssertionError, match="finite"):
        quantize(x, np.ones(3, dtype=np.float32))


def test_pieces_cover_half_a_minute_spread_over_the_recording():
    pieces = spread_pieces([Segment(0, 180_000, 0.0)], 100.0)
    assert sum(b - a for a, b in pieces) >= 3000
    assert pieces[0][0] == 0
    assert pieces[-1][1] == 180_000
    assert all(a[1] <= b[0] for a, b in pairwise(pieces))


def test_short_recordings_are_taken_whole():
    segments = [Segment(0, 2000, 0.0), Segment(2000, 4000, 90.0)]
    assert spread_pieces(segments, 100.0) == [(0, 2000), (2000, 4000)]


def test_pieces_never_cross_a_gap():
    segments = [Segment(0, 10_500, 0.0), Segment(10_500, 11_000, 500.0), Segment(11_000, 40_000, 900.0)]
    pieces = spread_pieces(segments, 100.0)
    assert sum(b - a for a, b in pieces) >= 3000
    for start, stop in pieces:
        assert any(s.start <= start < stop <= s.stop for s in segments)
