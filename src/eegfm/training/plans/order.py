"""Orders of the windows of one group, as pure functions of a place and a key.

A place and a key give a window. Places 0, 1, 2, ... walk through all windows once, then again in another order.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from eegfm.training.plans.permutation import Ints, Key, number_below, permuted, subkey


class Order(Protocol):
    """An endless order of numbers from 0; ``n_turns`` is the length of one pass."""

    @property
    def n_turns(self) -> int:
        """Places in one pass."""
        ...

    def at(self, places: Ints, key: Key) -> Ints:
        """Return numbers at these places."""
        ...


class FullShuffle:
    """Every number on its own; each pass shuffled anew.

    Args:
        n: Count of numbers.
    """

    def __init__(self, n: int) -> None:
        self.n_turns = n

    def at(self, places: Ints, key: Key) -> Ints:
        """Return numbers at these places."""
        cycle, place = np.divmod(places, self.n_turns)
        return permuted(place, self.n_turns, subkey(key, cycle))


class PersonRounds:
    """Persons in turn: each once per round, in another order every round, and one of its windows each time.

    A person's windows come in an order of their own, all of them before any again.

    Args:
        quotas: (P,) windows of each person; numbers run through the persons.
    """

    def __init__(self, quotas: Ints) -> None:
        self._quotas = quotas
        self._firsts = np.cumsum(quotas) - quotas
        self.n_turns = len(quotas)

    def at(self, places: Ints, key: Key) -> Ints:
        """Return numbers at these places."""
        rounds, windows = subkey(key, 0), subkey(key, 1)
        number, place = np.divmod(places, self.n_turns)
        person = permuted(place, self.n_turns, subkey(rounds, number))
        quotas = self._quotas[person]
        cycle, nth = np.divmod(number, quotas)
        return self._firsts[person] + permuted(nth, quotas, subkey(subkey(windows, person), cycle))


class ClassRounds:
    """Classes in turn: each once per round, in another order every round, and one of its windows each time.

    All classes are drawn equally often, whatever their windows; those of a class come all before any again. A pass has
    as many places as there are windows with a class, so rare windows occur several times in it and others not at all.

    Args:
        classes: (W,) class of each number, negative where it is unknown; such numbers are never drawn.
    """

    def __init__(self, classes: Ints) -> None:
        by_class = np.argsort(classes, kind="stable")
        self._numbers = by_class[int((classes < 0).sum()) :]
        counts = np.bincount(classes[self._numbers])
        self._rounds = PersonRounds(counts[counts > 0])
        self.n_turns = len(self._numbers)

    def at(self, places: Ints, key: Key) -> Ints:
        """Return numbers at these places."""
        return self._numbers[self._rounds.at(places, key)]


class RunShuffle:
    """Runs of neighbouring numbers are shuffled; so many of them make a pool, in which single numbers are shuffled.

    What is read for a pool are runs, what is drawn from it are windows of thousands of them. Where runs begin changes
    with every pass; what is left over behind the last whole run comes last.

    Args:
        n: Count of numbers.
        run_windows: Numbers per run.
        pool_windows: Largest number of numbers in a pool.
    """

    def __init__(self, n: int, run_windows: int, pool_windows: int) -> None:
        self.n_turns = n
        self._run_windows = run_windows
        self._n_whole = n // run_windows
        self._n_runs = -(-n // run_windows)
        # Pools of equal size, rather than full ones and a small rest that a few recordings would fill.
        self._n_pools = -(-self._n_runs // max(pool_windows // run_windows, 1))

    def at(self, places: Ints, key: Key) -> Ints:
        """Return numbers at these places."""
        cycle, place = np.divmod(places, self.n_turns)
        keys = subkey(key, cycle)
        pool = self._pool_of(place)
        first, end = self._bounds(pool)
        place = first + permuted(place - first, end - first, subkey(subkey(keys, 0), pool))
        slot, nth = np.divmod(place, self._run_windows)
        n_whole = max(self._n_whole, 1)
        shuffled = permuted(np.minimum(slot, n_whole - 1), n_whole, subkey(keys, 1))
        run = np.where(slot < self._n_whole, shuffled, slot)
        shift = number_below(np.array([self.n_turns]), subkey(keys, 2))
        return np.asarray((run * self._run_windows + nth + shift) % self.n_turns)

    def pools(self, places: Ints) -> Iterator[tuple[int, int]]:
        """Yield the number of the pass, and of the pool in it, of all pools that hold these places."""
        cycles, at = np.divmod(places, self.n_turns)
        for number in np.unique(cycles * self._n_pools + self._pool_of(at)).tolist():
            yield divmod(number, self._n_pools)

    def pool_places(self, cycle: int, pool: int) -> Ints:
        """Return all places of one pool."""
        first, end = self._bounds(np.array(pool))
        return cycle * self.n_turns + np.arange(int(first), int(end))

    def _pool_of(self, place: Ints) -> Ints:
        slot = place // self._run_windows
        return np.asarray(((slot + 1) * self._n_pools - 1) // self._n_runs)

    def _bounds(self, pool: Ints) -> tuple[Ints, Ints]:
        """First place of a pool, and the one behind its last."""
        edges = np.stack([pool, pool + 1]) * self._n_runs // self._n_pools * self._run_windows
        return edges[0], np.minimum(edges[1], self.n_turns)
