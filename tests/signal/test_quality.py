import numpy as np
import pytest

from eegfm.signal.quality import QualityWatch, flat_channels

NAMES = ("Fp1", "Cz", "O2")


def noise(n=3000, seed=0):
    return np.random.default_rng(seed).normal(0, 20, (3, n)).astype(np.float32)


def watch(x, block=700, rate_hz=100.0):
    watcher = QualityWatch(NAMES, rate_hz)
    parts = [watcher.add(x[:, i : i + block]) for i in range(0, x.shape[1], block)]
    return watcher, np.concatenate(parts, axis=1)


def test_a_good_signal_has_no_flags_and_passes_unchanged():
    x = noise()
    watcher, out = watch(x)
    assert watcher.flags() == ()
    np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("block", [1, 100, 3000])
def test_faults_are_found_whatever_the_blocks(block):
    x = noise(1000)
    x[1] = 7.5
    x[2] = np.clip(x[2], -20, 20)
    x[0, 100:103] = [np.nan, np.inf, -np.inf]
    watcher, out = watch(x, block)
    assert watcher.flags() == ("flat:Cz", "clipped:O2", "non_finite")
    assert watcher.n_non_finite == 3
    np.testing.assert_array_equal(out[0, 99:104], [x[0, 99], 0, 0, 0, x[0, 103]])
    highest = np.count_nonzero(x[2] == 20) / 1000
    lowest = np.count_nonzero(x[2] == -20) / 1000
    assert watcher.clipped_ratio[2] == pytest.approx(max(highest, lowest))


@pytest.mark.parametrize(("n_zeros", "flags"), [(100, ()), (101, ("constant_tail",)), (1500, ("constant_tail",))])
@pytest.mark.parametrize("block", [30, 700])
def test_a_zero_filled_tail_is_flagged(n_zeros, flags, block):
    x = noise()
    x[:, -n_zeros:] = 0
    watcher, _ = watch(x, block)
    assert tuple(f for f in watcher.flags() if not f.startswith("clipped")) == flags


def test_one_living_channel_is_no_constant_tail():
    x = noise()
    x[:2, -1500:] = 0
    assert "constant_tail" not in watch(x)[0].flags()


def test_coarse_steps_are_not_clipping():
    assert watch(np.rint(noise(20_000)))[0].flags() == ()


def test_flat_channels_are_flat_in_every_block():
    x, y = noise().T.copy(), noise(seed=1).T.copy()
    x[:, 0] = 0
    x[:, 1] = y[:, 1] = 1e-5
    np.testing.assert_array_equal(flat_channels([x, y]), [False, True, False])
