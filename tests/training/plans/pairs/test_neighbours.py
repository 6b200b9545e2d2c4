"""Matchings of neighbours in time: valid, nearly as large as can be, and different in every draw."""

from collections import Counter
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.training.plans.pairs.matching import Bits
from eegfm.training.plans.pairs.neighbours import NeighbourMatching
from eegfm.windows.runs import Ints

segments = st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=5)


def of(found: list[list[int]]) -> tuple[Ints, Ints]:
    filled = [sorted(starts) for starts in found if starts]
    segment = np.repeat(np.arange(len(filled)), [len(starts) for starts in filled])
    return segment, np.array([s for starts in filled for s in starts], dtype=np.int64)


def most_pairs(starts: list[int], min_gap: int, max_gap: int) -> int:
    """Size of the largest matching of a segment, by trying all."""

    @lru_cache(None)
    def largest(left: tuple[int, ...]) -> int:
        if len(left) < 2:
            return 0
        first, rest = left[0], left[1:]
        best = largest(rest)
        for k in range(len(rest)):
            if min_gap <= rest[k] - first <= max_gap:
                best = max(best, 1 + largest(rest[:k] + rest[k + 1 :]))
        return best

    return largest(tuple(sorted(starts)))


@settings(deadline=None, max_examples=100)
@given(segments, st.integers(1, 12), st.integers(0, 20), st.integers(0, 3))
def test_pairs_are_near_in_one_segment_and_no_window_comes_twice(
    found: list[list[int]], min_gap: int, more: int, seed: int
) -> None:
    segment, start = of(found)
    matching = NeighbourMatching(segment, start, min_gap, min_gap + more)
    early, late = matching.draw(Bits(seed))
    assert len(early) == len(late) >= matching.n_pairs
    assert (segment[early] == segment[late]).all()
    gap = start[late] - start[early]
    assert ((gap >= min_gap) & (gap <= min_gap + more)).all()
    assert len(np.unique(np.concatenate([early, late]))) == 2 * len(early)
    assert len(early) <= sum(most_pairs(starts, min_gap, min_gap + more) for starts in found)
    assert (np.diff(early) > 0).all()


def test_there_are_nearly_as_many_pairs_as_can_be() -> None:
    rng = np.random.default_rng(0)
    n_found = n_most = 0
    for _ in range(40):
        found = [rng.integers(0, 60, rng.integers(2, 12)).tolist() for _ in range(3)]
        min_gap = int(rng.integers(1, 12))
        max_gap = min_gap + int(rng.integers(0, 30))
        n_found += NeighbourMatching(*of(found), min_gap, max_gap).n_pairs
        n_most += sum(most_pairs(starts, min_gap, max_gap) for starts in found)
    assert n_found <= n_most
    assert n_found > 0.97 * n_most


@pytest.mark.parametrize(
    ("n", "stride", "max_gap"), [(600, 200, 2000), (600, 100, 2000), (601, 50, 600), (6, 100, 400)]
)
def test_a_grid_leaves_hardly_a_window_alone(n: int, stride: int, max_gap: int) -> None:
    matching = NeighbourMatching(np.zeros(n, dtype=np.int64), stride * np.arange(n), 200, max_gap)
    assert matching.n_pairs >= n // 2 - max(1, n // 100)


def test_all_distances_occur_and_near_ones_are_not_preferred() -> None:
    n = 4000
    matching = NeighbourMatching(np.zeros(n, dtype=np.int64), 100 * np.arange(n), 200, 1000)
    distances: Counter[int] = Counter()
    for seed in range(10):
        early, late = matching.draw(Bits(seed))
        distances.update((late - early).tolist())
    assert set(distances) == set(range(2, 11))
    shares = np.array([distances[d] for d in range(2, 11)]) / distances.total()
    assert shares.min() > 0.5 / 9
    assert shares.max() < 2 / 9


def test_draws_differ_and_reach_every_window_and_neighbour() -> None:
    n = 61
    matching = NeighbourMatching(np.zeros(n, dtype=np.int64), 200 * np.arange(n), 200, 800)
    seen: set[tuple[int, int]] = set()
    n_seen = np.zeros(n, dtype=int)
    for seed in range(200):
        early, late = matching.draw(Bits(seed))
        seen |= set(zip(early.tolist(), late.tolist(), strict=True))
        n_seen[np.concatenate([early, late])] += 1
    assert seen == {(i, j) for i in range(n) for j in range(i + 1, min(i + 5, n))}
    assert n_seen.min() > 150


def test_a_draw_follows_from_its_bits() -> None:
    found = of([list(range(0, 400, 7)), list(range(0, 300, 11))])
    first, again = (NeighbourMatching(*found, 20, 60).draw(Bits(3)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


def test_groups_are_counted() -> None:
    matching = NeighbourMatching(*of([[0, 10, 20], [0], [0, 100], [5, 15]]), 10, 20)
    assert matching.counted == {"n_groups": 4, "n_groups_without_neighbours": 2}
    assert matching.n_pairs == 2


def test_nothing_to_match() -> None:
    matching = NeighbourMatching(*of([]), 10, 20)
    assert matching.n_pairs == 0
    assert [len(part) for part in matching.draw(Bits(0))] == [0, 0]
