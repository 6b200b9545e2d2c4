"""Match windows with neighbours in time, differently for every draw of bits and never in fewer pairs."""

import numpy as np
from numpy.typing import NDArray

from eegfm.training.plans.pairs.matching import Bits
from eegfm.training.plans.permutation import Ints

NOBODY = -1
MAX_GAP = 2**39
"""Samples that a pair can be apart: 175 years at 100 Hz. Longer gaps are as good as this one."""
_WIDTH = 4 * MAX_GAP
"""A segment and a sample, and a gap more, make one sortable number."""
_BASE_ROUNDS = 64
_DRAW_ROUNDS = 10
_BASE_SEED = 0


class NeighbourMatching:
    """Pairs of windows of one segment whose starts lie from ``min_gap`` to ``max_gap`` apart.

    The windows are in couples, a single one with nobody. In a round couples meet in twos and exchange partners where
    the new ones are near enough; two singles that are near enough become a pair. Rounds therefore never lose a pair.
    Every draw starts from one base, found once, and has its pairs at least. In the base, windows of a regular grid
    meet at the least distance first, and rounds follow where several remain single; its pairs are not always the most
    there can be, which would take far longer to find.

    Args:
        segment: (W,) number of the segment of each window, from 0 without gaps, rising.
        start: (W,) first sample of each window, rising within a segment.
        min_gap: Samples between the starts of a pair, at least.
        max_gap: Samples between the starts of a pair, at most.

    Attributes:
        n_pairs_of_segment: (S,) pairs of every draw in each segment, at least.
    """

    def __init__(self, segment: Ints, start: Ints, min_gap: int, max_gap: int) -> None:
        self.group = segment
        keys = segment * _WIDTH + start
        self._first = np.searchsorted(keys, keys + min_gap, side="left")
        self._last = np.searchsorted(keys, keys + max_gap, side="right") - 1
        self._n_segments = int(segment.max(initial=-1)) + 1
        self._reach = self._farthest()
        self._base = self._found()
        matched = self._base[0][self._base[1] != NOBODY]
        self.n_pairs = len(matched)
        self.n_windows = 2 * self.n_pairs
        self.n_pairs_of_segment = np.bincount(segment[matched], minlength=self._n_segments)
        n_without = self._n_segments - len(np.unique(segment[matched]))
        self.counted = {"n_groups": self._n_segments, "n_groups_without_neighbours": n_without}

    def draw(self, bits: Bits) -> tuple[Ints, Ints]:
        """(M,) earlier and (M,) later windows, in order of the earlier ones."""
        couples = self._base
        for _ in range(_DRAW_ROUNDS):
            couples = self._exchanged(*couples, *self._meeting_places(bits), bits)
        early, late = _sorted(*couples)
        return early[late != NOBODY], late[late != NOBODY]

    def _farthest(self) -> Ints:
        """(S,) places, at least 1, from a window to the farthest one that it may be paired with, in each segment."""
        farthest = np.ones(self._n_segments, dtype=np.int64)
        np.maximum.at(farthest, self.group, self._last - np.arange(len(self.group)))
        return farthest

    def _nearest(self) -> Ints:
        """(S,) places from a window to the nearest one that it may be paired with; 1 where there is none."""
        nearest = self._reach.copy()
        has_any = self._first <= self._last
        np.minimum.at(nearest, self.group[has_any], (self._first - np.arange(len(self.group)))[has_any])
        return nearest

    def _found(self) -> tuple[Ints, Ints]:
        """The base. Segments with at most one single window are done, the others go through further rounds."""
        bits, done = Bits(_BASE_SEED), []
        early, late = np.arange(len(self.group)), np.full(len(self.group), NOBODY)
        distance, shift = self._nearest(), np.zeros(self._n_segments, dtype=np.int64)
        for _ in range(_BASE_ROUNDS):
            early, late = self._exchanged(early, late, distance, shift, bits)
            n_single = np.bincount(self.group[early[late == NOBODY]], minlength=self._n_segments)
            is_open = n_single[self.group[early]] > 1
            done.append((early[~is_open], late[~is_open]))
            early, late = early[is_open], late[is_open]
            distance, shift = self._meeting_places(bits)
        done.append((early, late))
        return np.concatenate([part[0] for part in done]), np.concatenate([part[1] for part in done])

    def _meeting_places(self, bits: Bits) -> tuple[Ints, Ints]:
        """(S,) how many places apart couples meet in each segment, and from which place on; at random."""
        distance = 1 + (bits.random_raw(self._n_segments) % self._reach.astype(np.uint64)).astype(np.int64)
        shift = (bits.random_raw(self._n_segments) % (2 * distance).astype(np.uint64)).astype(np.int64)
        return distance, shift

    def _exchanged(self, early: Ints, late: Ints, distance: Ints, shift: Ints, bits: Bits) -> tuple[Ints, Ints]:
        """One round: couples in, couples out."""
        early, late = _sorted(early, late)
        left, right = self._meeting(early, distance, shift)
        a, b, c, d = early[left], late[left], early[right], late[right]
        are_single = (b == NOBODY) & (d == NOBODY)
        straight = are_single | (bits.random_raw(len(left)) >> np.uint64(63) == 0)
        # One of two exchanges is tried, a-c b-d or a-d b-c; for two singles only the first changes anything.
        for_a, for_b = np.where(straight, c, d), np.where(straight, d, c)
        accepted = self._are_near(a, for_a) & self._are_near(b, for_b)
        a, b, c, d = (x[accepted] for x in (a, b, for_a, for_b))
        early[left[accepted]], late[left[accepted]] = _in_order(a, c)
        early[right[accepted]], late[right[accepted]] = _in_order(b, d)
        exist = early != NOBODY
        return early[exist], late[exist]

    def _meeting(self, early: Ints, distance: Ints, shift: Ints) -> tuple[Ints, Ints]:
        """Places of couples that meet, in order of their earlier windows; each couple meets one other at most."""
        segment, place = self.group[early], np.arange(len(early))
        begins = np.searchsorted(segment, np.arange(self._n_segments))
        apart = distance[segment]
        is_left = (place + (shift - begins)[segment]) // apart % 2 == 0
        other = np.minimum(place + apart, len(place) - 1)
        is_left &= (segment[other] == segment) & (other - place == apart)
        return place[is_left], other[is_left]

    def _are_near(self, one: Ints, other: Ints) -> NDArray[np.bool_]:
        """Tell whether two windows may be a pair. A missing window fits every window."""
        early, late = np.minimum(one, other), np.maximum(one, other)
        near: NDArray[np.bool_] = (self._first[early] <= late) & (late <= self._last[early]) | (early == NOBODY)
        return near


def _sorted(early: Ints, late: Ints) -> tuple[Ints, Ints]:
    """Couples in order of their earlier windows."""
    order = np.argsort(early, kind="stable")
    return early[order], late[order]


def _in_order(one: Ints, other: Ints) -> tuple[Ints, Ints]:
    """Earlier and later window; a single one is the earlier, with nobody."""
    early, late = np.minimum(one, other), np.maximum(one, other)
    is_single = early == NOBODY
    return np.where(is_single, late, early), np.where(is_single, NOBODY, late)
