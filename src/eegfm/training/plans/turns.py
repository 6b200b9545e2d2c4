"""Turns of the groups of a corpus: one has its turn in each step, and over an epoch each has its share, to one step."""

from collections.abc import Sequence

import numpy as np

from eegfm.training.plans.permutation import Key, number_below, subkey


class Turns:
    """Turns of groups: the group of each step, and the number of turns it had before.

    The epoch's steps are shared out by the groups' sizes, each share rounded to a whole number in one of its two
    directions, which one differs between epochs. Then each group's turns are spread evenly over the steps that the
    groups before it leave.

    Args:
        sizes: Size of each group.
        n_steps: Steps per epoch.
        key: Key of the corpus.
    """

    def __init__(self, sizes: Sequence[int], n_steps: int, key: Key) -> None:
        self._ends: list[int] = np.cumsum(sizes).tolist()
        self._n_steps, self._key = n_steps, key
        self.total = self._ends[-1]

    def at(self, epoch: int, step: int) -> tuple[int, int]:
        """Return the number of the group, and how many turns of the epoch it had before."""
        keys = subkey(self._key, epoch)
        rounding = int(number_below(self.total, keys)[0])
        n_left, bound = self._n_steps, 0
        for k, end in enumerate(self._ends):
            first, bound = bound, (end * self._n_steps + rounding) // self.total
            phase = int(number_below(max(n_left, 1), subkey(keys, k))[0])
            earlier, later = (((s * (bound - first)) + phase) // max(n_left, 1) for s in (step, step + 1))
            if later > earlier:
                return k, earlier
            step, n_left = step - earlier, n_left - (bound - first)
        raise AssertionError("the shares add up to the steps")
