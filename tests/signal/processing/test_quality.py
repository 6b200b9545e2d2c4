import numpy as np
import pytest

from eegfm.signal.processing.quality import QualityWatch, bad_channels, clipped_together, flat_channels, without_spans

NAMES = ("Fp1", "Cz", "O2")


def noise(n=3000, seed=0):
    return np.random.default_rng(seed).normal(0, 20, (3, n)).astype(np.float32)


def watch(x, block=700, rate_hz=100.0, first=0):
    watcher = QualityWatch(NAMES, rate_hz)
    parts = [watcher.add(x[:, i : i + block], first + i) for i in range(0, x.shape[1], block)]
    return watcher, np.concatenate(parts, axis=1)


def test_a_good_signal_has_no_flags_and_passes_unchanged():
    x = noise()
    watcher, out = watch(x)
    assert watcher.result() == ((), (), 0.0)
    np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("block", [1, 100, 3000])
def test_faults_are_found_whatever_the_blocks(block):
    x = noise(1000)
    x[1] = 7.5
    x[2] = np.clip(x[2], -20, 20)
    x[0, 100:103] = [np.nan, np.inf, -np.inf]
    watcher, out = watch(x, block)
    assert watcher.result().flags == ("flat:Cz", "clipped:O2", "non_finite:Fp1")
    assert watcher.result().bad_ratio == pytest.approx((1000 + 3) / 3000, abs=0.01)
    np.testing.assert_array_equal(out[0, 99:104], [x[0, 99], 0, 0, 0, x[0, 103]])
    highest = np.count_nonzero(x[2] == 20) / 1000
    lowest = np.count_nonzero(x[2] == -20) / 1000
    assert watcher.clipped_ratio[2] == pytest.approx(max(highest, lowest))


@pytest.mark.parametrize("block", [45, 700, 3000])
@pytest.mark.parametrize(("start", "stop"), [(0, 400), (1234, 1300), (2500, 3000), (1000, 3000)])
def test_a_zero_filled_stretch_is_dead_to_within_a_glance(start, stop, block):
    x = noise()
    x[:, start:stop] = 0
    quality = watch(x, block, first=5000)[0].result()
    [(a, b)] = quality.dead_spans
    assert 0 <= a - 5000 - start <= 10
    assert 0 <= stop - (b - 5000) <= 10
    assert quality.flags == ("dead_spans",)
    assert quality.bad_ratio == pytest.approx((stop - start) / 3000, abs=0.02)


def test_one_still_channel_is_flagged_and_kills_nothing():
    x = noise()
    x[1, 1000:1500] = -3
    quality = watch(x)[0].result()
    assert (quality.flags, quality.dead_spans) == (("still:Cz",), ())


def test_most_channels_still_or_non_finite_at_once_are_dead():
    x = noise()
    x[1, 1000:1500] = -3
    x[2, 1000:1500] = np.nan
    quality = watch(x)[0].result()
    assert quality.flags == ("non_finite:O2", "dead_spans")
    [(a, b)] = quality.dead_spans
    assert (abs(a - 1000) <= 10, abs(b - 1500) <= 10) == (True, True)


@pytest.mark.parametrize("n", [2, 9])
def test_a_few_equal_samples_are_chance(n):
    x = noise()
    for k in range(0, 3000, 100):
        x[:, k : k + n] = x[:, k : k + 1]
    assert watch(x)[0].result().flags == ()


def test_one_still_glance_is_chance():
    x = noise()
    x[1, 100:111] = x[1, 100]
    assert watch(x, 3000)[0].result().flags == ()
    x[1, 100:131] = x[1, 100]
    assert watch(x, 3000)[0].result().flags == ("still:Cz",)


def test_a_flat_recording_is_all_bad():
    quality = watch(np.zeros((3, 1000), dtype=np.float32))[0].result()
    assert (quality.bad_ratio, quality.dead_spans) == (1.0, ((0, 1000),))


def test_coarse_steps_are_not_clipping():
    assert watch(np.rint(noise(20_000)))[0].result().flags == ()


def test_flat_channels_are_flat_in_every_block():
    x, y = noise().T.copy(), noise(seed=1).T.copy()
    x[:, 0] = 0
    x[:, 1] = y[:, 1] = 1e-5
    np.testing.assert_array_equal(flat_channels([x, y]), [False, True, False])


@pytest.mark.parametrize(
    ("spans", "margin", "left"),
    [
        ([], 5, [(100, 200)]),
        ([(120, 130)], 5, [(100, 115), (135, 200)]),
        ([(102, 130)], 5, [(135, 200)]),
        ([(180, 300)], 5, [(100, 175)]),
        ([(0, 300)], 5, []),
        ([(120, 130), (138, 150)], 5, [(100, 115), (155, 200)]),
        ([(0, 50), (250, 260)], 5, [(100, 200)]),
    ],
)
def test_what_is_left_without_spans(spans, margin, left):
    assert without_spans(100, 200, spans, margin) == left


def test_which_channels_are_bad() -> None:
    flags = [
        "flat:Cz", "marked_bad:F8", "clipped:O1", "implausible_amplitude:T7", "still:Pz", "non_finite:Fz",
        "offset_disagrees:C3", "flat:EEG LABEL", "dead_spans",
    ]  # fmt: skip
    names = ("T7", "F8", "Fz", "Cz", "Pz", "C3", "O1")
    assert bad_channels(flags, names, "Cz") == ("T7", "F8", "O1")
    assert bad_channels(flags, names, None) == bad_channels(flags, names, "FCz") == ("T7", "F8", "Cz", "O1")


@pytest.mark.parametrize("flag", ["marked_bad", "clipped", "implausible_amplitude"])
def test_a_reference_is_good_for_being_flat_and_for_nothing_else(flag: str) -> None:
    assert bad_channels(["flat:Cz", f"{flag}:Cz"], ("Cz",), "Cz") == ("Cz",)


@pytest.mark.parametrize(
    ("clipped", "others", "together"),
    [
        ("", "", ""),
        ("", "ABCD", ""),
        ("A", "", ""),
        ("AB", "", "AB"),
        ("A", "CD", "A"),
        ("A", "D", ""),
        ("ABC", "C", "AB"),
        ("ABCD", "", "ABCD"),
    ],
)
def test_half_of_the_good_electrodes_do_not_clip_by_themselves(clipped: str, others: str, together: str) -> None:
    flags = [*(f"clipped:{name}" for name in clipped), *(f"marked_bad:{name}" for name in others), "still:D"]
    assert clipped_together(flags, "ABCD", None) == tuple(together)
