"""Order of the windows of one group: epochs, limits per person and pools."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from eegfm.batch import WindowIndex
from eegfm.training.blocks import ShuffleParams
from eegfm.training.plans.order import ClassRounds, FullShuffle, Order, PersonRounds, RunShuffle
from eegfm.training.plans.permutation import Ints, new_key, subkey
from eegfm.training.plans.person_windows import PersonSample, PersonWindows

DrawnBy = Literal["windows", "persons", "classes"]
Pool = tuple[int, int, int]
"""Numbers of the epoch, of the pass in the epoch, and of the pool in the pass."""


class GroupOrder:
    """Endless order of a group's windows, another one in every epoch.

    Args:
        group: Windows.
        persons: Its persons with their quotas; None if neither limits nor rounds need them.
        shuffle: Shuffling of windows.
        drawn_by: ``windows``, or ``persons`` or ``classes`` for rounds of these.
        seed: Seed of the order; groups of one seed are shuffled apart by their names.
    """

    def __init__(
        self,
        group: WindowIndex,
        persons: PersonWindows | None,
        shuffle: ShuffleParams,
        drawn_by: DrawnBy,
        seed: int,
    ) -> None:
        self.group = group
        self.n_windows = len(group)
        self._key = new_key(seed, group.corpus, group.montage, group.n_samples)
        self._sample: PersonSample | None = None
        if persons is not None and (persons.quotas < persons.counts).any():
            self.n_windows = int(persons.quotas.sum())
            self._sample = PersonSample(persons, side_by_side=shuffle.run_windows > 1)
        self._order: Order = FullShuffle(self.n_windows)
        self._runs: RunShuffle | None = None
        if drawn_by == "persons":
            assert persons is not None, "rounds of persons need the persons"
            self._order = PersonRounds(persons.quotas[persons.quotas > 0])
        elif drawn_by == "classes":
            self._order = ClassRounds(classes_of(group))
            self.n_windows = self._order.n_turns
        elif shuffle.run_windows > 1:
            self._order = self._runs = RunShuffle(self.n_windows, shuffle.run_windows, shuffle.pool_windows)

    @property
    def n_turns(self) -> int:
        """Places in one pass: windows, those with a class for rounds of classes, or the persons of one round."""
        return self._order.n_turns

    def positions(self, epoch: int, places: Ints) -> Ints:
        """Return the windows at these places of an epoch."""
        keys = subkey(self._key, epoch)
        numbers = self._order.at(places, subkey(keys, 0))
        return numbers if self._sample is None else self._sample.windows(numbers, subkey(keys, 1))

    def pools(self, epoch: int, places: Ints) -> Iterator[Pool]:
        """Pools that these places draw from; none where windows are shuffled one by one."""
        if self._runs is not None:
            for cycle, pool in self._runs.pools(places):
                yield epoch, cycle, pool

    def pool_positions(self, pool: Pool) -> Ints:
        """Return all windows of a pool."""
        assert self._runs is not None, "only runs make pools"
        epoch, cycle, number = pool
        return self.positions(epoch, self._runs.pool_places(cycle, number))


def classes_of(group: WindowIndex) -> Ints:
    """(W,) number of the class of each window, -1 where it is unknown; all unknown where windows have no class."""
    labels = group.targets.get("label")
    if labels is None:
        return np.full(len(group), -1, dtype=np.int64)
    return labels[group.runs_of(np.arange(len(group)))[0]].astype(np.int64)
