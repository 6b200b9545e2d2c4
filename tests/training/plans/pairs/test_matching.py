"""Matchings within groups: valid, the largest there are, and as random as they can be."""

from functools import lru_cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.training.plans.pairs.matching import Bits, GroupMatching, counted_up
from eegfm.windows.runs import Ints

windows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=40)


def of(found: list[tuple[int, int]]) -> tuple[Ints, Ints]:
    group, owner = np.array(found, dtype=np.int64).reshape(-1, 2).T
    return np.unique(group, return_inverse=True)[1], owner


def most_pairs(owners: tuple[int, ...]) -> int:
    """Size of the largest matching of windows of different owners, by trying all."""

    @lru_cache(None)
    def largest(left: tuple[int, ...]) -> int:
        if len(left) < 2:
            return 0
        first, rest = left[0], left[1:]
        best = largest(rest)
        for k in range(len(rest)):
            if rest[k] != first:
                best = max(best, 1 + largest(rest[:k] + rest[k + 1 :]))
        return best

    return largest(tuple(sorted(owners)))


@settings(deadline=None, max_examples=200)
@given(windows, st.integers(0, 3))
def test_pairs_are_of_one_group_and_two_owners_and_apart(found: list[tuple[int, int]], seed: int) -> None:
    group, owner = of(found)
    matching = GroupMatching(group, owner, "person")
    one, other = matching.draw(Bits(seed))
    assert len(one) == len(other) == matching.n_pairs
    assert (group[one] == group[other]).all()
    assert (owner[one] != owner[other]).all()
    assert len(np.unique(np.concatenate([one, other]))) == 2 * matching.n_pairs


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.lists(st.integers(0, 2), min_size=1, max_size=9))
def test_no_matching_has_more_pairs(first: list[int], second: list[int]) -> None:
    group, owner = of([(0, o) for o in first] + [(1, o) for o in second])
    matching = GroupMatching(group, owner, "person")
    assert matching.n_pairs == most_pairs(tuple(first)) + most_pairs(tuple(second))
    per_group = [min(len(g) // 2, len(g) - max(map(g.count, g))) for g in (first, second)]
    assert matching.n_pairs == sum(per_group)
    alone = sum(len(set(g)) == 1 for g in (first, second))
    assert matching.counted == {"n_groups": 2, "n_groups_of_one_person": alone}


def test_pairs_come_group_by_group() -> None:
    group = np.repeat(np.arange(5), 8)
    one, _ = GroupMatching(group, np.arange(40), "person").draw(Bits(1))
    assert (np.diff(group[one]) >= 0).all()


def test_nothing_to_match() -> None:
    none = np.zeros(0, dtype=np.int64)
    matching = GroupMatching(none, none, "person")
    assert matching.n_pairs == 0
    assert [len(part) for part in matching.draw(Bits(0))] == [0, 0]


@pytest.mark.parametrize("n", [6, 7])
def test_every_two_persons_meet_equally_often(n: int) -> None:
    matching = GroupMatching(np.zeros(n, dtype=np.int64), np.arange(n), "person")
    met = np.zeros((n, n))
    n_draws = 3000
    for seed in range(n_draws):
        for one, other in zip(*matching.draw(Bits(seed)), strict=True):
            met[min(one, other), max(one, other)] += 1
    found = np.array([met[i, j] for i, j in combinations(range(n), 2)]) / n_draws
    expected = (n // 2) / (n * (n - 1) / 2)
    assert np.abs(found - expected).max() < 4.5 * np.sqrt(expected * (1 - expected) / n_draws)


def test_every_two_windows_of_persons_with_several_meet_equally_often() -> None:
    owner = np.repeat(np.arange(4), 3)
    matching = GroupMatching(np.zeros(12, dtype=np.int64), owner, "person")
    met = np.zeros((12, 12))
    n_draws = 3000
    for seed in range(n_draws):
        one, other = matching.draw(Bits(seed))
        met[np.minimum(one, other), np.maximum(one, other)] += 1
    found = np.array([met[i, j] for i, j in combinations(range(12), 2) if owner[i] != owner[j]]) / n_draws
    expected = 6 / 54
    assert np.abs(found - expected).max() < 4.5 * np.sqrt(expected * (1 - expected) / n_draws)


def test_persons_meet_others_in_every_group_of_a_draw() -> None:
    group, owner = np.repeat(np.arange(50), 20), np.tile(np.arange(20), 50)
    one, other = GroupMatching(group, owner, "person").draw(Bits(0))
    met = {frozenset(pair) for pair in zip(owner[one].tolist(), owner[other].tolist(), strict=True)}
    assert len(met) > 150, "of 190 couples of persons, 500 random meetings show 177"


def test_the_windows_that_find_no_partner_change() -> None:
    owner = np.array([0] * 9 + [1, 2])
    matching = GroupMatching(np.zeros(11, dtype=np.int64), owner, "person")
    assert matching.n_pairs == 2
    seen = np.zeros(11, dtype=int)
    for seed in range(600):
        seen[np.concatenate(matching.draw(Bits(seed)))] += 1
    assert (seen[9:] == 600).all()
    assert np.abs(seen[:9] / 600 - 2 / 9).max() < 0.08


@settings(deadline=None)
@given(windows)
def test_a_draw_follows_from_its_bits(found: list[tuple[int, int]]) -> None:
    matching = GroupMatching(*of(found), "person")
    first, again = matching.draw(Bits(5)), GroupMatching(*of(found), "person").draw(Bits(5))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


def test_counting_up() -> None:
    assert counted_up(np.array([3, 0, 2])).tolist() == [0, 1, 2, 0, 1]
