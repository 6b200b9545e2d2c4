"""Shuffles with random access are shuffles: every number once, and no pattern that numpy's lack."""

import math
import time

import numpy as np
import pytest

from eegfm.training.plans.permutation import Ints, new_key, number_below, permuted, subkey

KEY = new_key("test", 0)


def whole(n: int, key: int) -> Ints:
    return permuted(np.arange(n), n, subkey(KEY, key))


def test_every_number_comes_once_for_every_size() -> None:
    for n in range(1, 2001):
        assert (np.sort(whole(n, n)) == np.arange(n)).all(), n


@pytest.mark.parametrize("n", [65_535, 65_536, 65_537, 104_729, 1_000_000])
def test_every_number_comes_once_for_large_sizes(n: int) -> None:
    assert (np.bincount(whole(n, 0), minlength=n) == 1).all()


def test_places_far_out_stay_in_range_and_apart() -> None:
    for n in (24_000_000, 2**40 + 3, 2**48):
        places = (
            np.random.default_rng(0).choice(n, 20_000, replace=False) if n < 1e8 else np.arange(20_000) * (n // 20_000)
        )
        found = permuted(places, n, KEY)
        assert found.min() >= 0
        assert found.max() < n
        assert len(np.unique(found)) == len(found)


def test_each_place_is_computed_alone_with_a_size_and_key_of_its_own() -> None:
    ns = np.array([1, 7, 7, 1000, 50, 2])
    places = np.array([0, 6, 2, 999, 13, 1])
    keys = subkey(KEY, np.array([0, 1, 1, 3, 4, 5]))
    alone = [int(permuted(p, int(n), keys[k : k + 1])[0]) for k, (p, n) in enumerate(zip(places, ns, strict=True))]
    assert permuted(places, ns, keys).tolist() == alone


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_all_orders_of_a_few_are_equally_likely(n: int) -> None:
    n_keys = 60_000
    keys = subkey(KEY, np.arange(n_keys))
    orders = sum(permuted(np.full(n_keys, k), n, keys) * 10**k for k in range(n))
    found = np.unique(orders, return_counts=True)[1]
    expected = n_keys / math.factorial(n)
    assert len(found) == math.factorial(n)
    assert_plausible(float(((found - expected) ** 2 / expected).sum()), math.factorial(n) - 1)


def assert_plausible(chi_square: float, n_free: int) -> None:
    """Within five standard deviations of the mean of its distribution."""
    assert abs(chi_square - n_free) < 5 * math.sqrt(2 * n_free), chi_square / n_free


def pair_chi_square(a: Ints, b: Ints, n: int, n_bins: int) -> float:
    """Chi-square of two columns of numbers below n against independence, in equal bins."""
    table = np.bincount(a * n_bins // n * n_bins + b * n_bins // n, minlength=n_bins**2).reshape(n_bins, n_bins)
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    return float(((table - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("n", [10_007, 100_000, 262_144])
def test_quality_is_that_of_a_numpy_permutation(n: int) -> None:
    n_bins = 32
    numpys = np.random.default_rng(0).permutation(n)
    for found in (whole(n, 1), whole(n, 2), numpys):  # numpy's shows that the bounds are fair
        # Where a number stands, what follows it one and two places on, and how far apart neighbours are.
        assert_plausible(pair_chi_square(np.arange(n), found, n, n_bins), (n_bins - 1) ** 2)
        for lag in (1, 2, 256):
            assert_plausible(pair_chi_square(found[:-lag], found[lag:], n, n_bins), (n_bins - 1) ** 2)
            assert abs(np.corrcoef(found[:-lag], found[lag:])[0, 1]) < 5 / math.sqrt(n)
        assert abs((found == np.arange(n)).sum() - 1) <= 6  # fixed points: Poisson of mean 1
        rising = (np.diff(found) > 0).sum()
        assert abs(rising - (n - 1) / 2) < 5 * math.sqrt(n / 12)


def test_low_bits_are_shuffled_too() -> None:
    found = whole(2**16, 3)
    for bit in range(16):
        ones = (found >> bit) & 1
        changes = (np.diff(ones) != 0).sum()
        assert abs(changes - 2**15) < 5 * math.sqrt(2**16) / 2


def test_other_keys_give_unrelated_orders() -> None:
    n = 50_000
    for other in (whole(n, 2), permuted(np.arange(n), n, new_key("test", 1))):
        assert abs(np.corrcoef(whole(n, 1), other)[0, 1]) < 5 / math.sqrt(n)
        assert_plausible(pair_chi_square(whole(n, 1), other, n, 32), 31**2)
    assert len(np.unique(subkey(KEY, np.arange(100_000)))) == 100_000
    assert new_key("a", "bc") != new_key("ab", "c")
    assert new_key(1, "a") == new_key(1, "a")


def test_numbers_below_are_equally_likely() -> None:
    found = number_below(7, subkey(KEY, np.arange(70_000)))
    counts = np.bincount(found, minlength=7)
    assert_plausible(float(((counts - 10_000) ** 2 / 10_000).sum()), 6)


def test_a_batch_takes_microseconds_whatever_is_shuffled() -> None:
    spent_s = []
    for k in range(200):
        began = time.process_time()
        permuted(np.arange(256) + 1000 * k, 24_000_000, KEY)
        spent_s.append(time.process_time() - began)
    assert min(spent_s) < 1e-3  # about 100 us; numpy's permutation takes 0.9 s
