"""Match the windows of each group to pairs of different owners, differently for every draw of bits."""

from typing import Protocol

import numpy as np

from eegfm.training.plans.permutation import Ints

Bits = np.random.PCG64
"""Random words. Their stream is fixed by numpy's promise, which that of its ``Generator`` is not."""


class Matching(Protocol):
    """Pairs of the windows 0 to W - 1 of a stratum.

    Attributes:
        group: (W,) number of the group that each window finds its partner in, from 0 without gaps.
        n_pairs: Pairs of every draw, at least.
        n_windows: Windows in these pairs.
        counted: Counts of matched and omitted windows, by name.
    """

    group: Ints
    n_pairs: int
    n_windows: int
    counted: dict[str, int]

    def draw(self, bits: Bits) -> tuple[Ints, Ints]:
        """(M,) first and (M,) second windows of the pairs; no window is in two pairs."""


class GroupMatching:
    """As many pairs within groups as there can be when no owner is paired with itself.

    The windows of a group are listed owner by owner, owners and their windows in random order, and each of the first
    half is paired with the one half a list later. Two windows of one owner never stand so far apart as long as no owner
    has more than half of the list: the windows that one has beyond that cannot all find partners, and only as many of
    them enter the list, drawn anew each time, as there are others. So n windows of a group, at most ``n_max`` of one
    owner, give ``min(n // 2, n - n_max)`` pairs, the most there can be.

    Args:
        group: (W,) number of the group of each window, from 0 without gaps.
        owner: (W,) number of the owner of each window.
        owners: Kind of the owners for the counts: ``person``.
    """

    def __init__(self, group: Ints, owner: Ints, owners: str) -> None:
        self.group = group
        n_owners = int(owner.max(initial=0)) + 1
        cells, self._cell = np.unique(group * n_owners + owner, return_inverse=True)
        self._cell_group = cells // n_owners
        self._counts = np.bincount(self._cell)
        n_windows = np.bincount(group)
        self._quotas = np.minimum(self._counts, n_windows[self._cell_group] - self._counts)
        n_listed = _sums(self._cell_group, self._quotas, len(n_windows))
        half = n_listed // 2
        self._distance = np.repeat(half, half)
        self._first = np.repeat(np.cumsum(n_listed) - n_listed, half) + counted_up(half)
        self.n_pairs = len(self._first)
        self.n_windows = 2 * self.n_pairs
        self.counted = {"n_groups": len(n_windows), f"n_groups_of_one_{owners}": int((half == 0).sum())}

    def draw(self, bits: Bits) -> tuple[Ints, Ints]:
        """(M,) first and (M,) second windows, group by group."""
        cells = np.argsort(salted(self._cell_group, bits), kind="stable")
        place = np.empty_like(cells)
        place[cells] = np.arange(len(cells))
        order = np.argsort(salted(place[self._cell], bits), kind="stable")
        counts = self._counts[cells]
        listed = order[counted_up(counts) < np.repeat(self._quotas[cells], counts)]
        return listed[self._first], listed[self._first + self._distance]


class SelfMatching:
    """Every window with itself.

    Args:
        n_windows: Number of windows.
    """

    def __init__(self, n_windows: int) -> None:
        self.group = np.arange(n_windows)
        self.n_pairs = self.n_windows = n_windows
        self.counted: dict[str, int] = {}

    def draw(self, bits: Bits) -> tuple[Ints, Ints]:
        """(W,) each window, twice."""
        return self.group, self.group


def counted_up(lengths: Ints) -> Ints:
    """0, 1, 2, ... anew for every length, e.g. 0 1 2 0 1 for 3 and 2."""
    up: Ints = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return up


def salted(numbers: Ints, bits: Bits) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """Keys that sort by the numbers, and at random where these are equal; numbers below 2**32."""
    words: np.ndarray[tuple[int], np.dtype[np.uint64]] = bits.random_raw(len(numbers))
    return (numbers.astype(np.uint64) << np.uint64(32)) | (words >> np.uint64(32))


def _sums(groups: Ints, values: Ints, n_groups: int) -> Ints:
    """(n_groups,) sum of the values of each group, exact."""
    sums = np.zeros(n_groups, dtype=np.int64)
    np.add.at(sums, groups, values)
    return sums
