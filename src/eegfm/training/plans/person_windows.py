"""Sample the windows of each person for one epoch, up to a limit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eegfm.batch import WindowIndex
from eegfm.training.plans.permutation import Ints, Key, number_below, permuted, subkey


@dataclass(frozen=True)
class PersonWindows:
    """Windows of each person in one group, where a person's windows lie side by side.

    Args:
        persons: (P,) number of each person in the corpus.
        firsts: (P,) number of each person's first window.
        counts: (P,) windows of each person.
        quotas: (P,) how many of them one epoch shows.
    """

    persons: NDArray[np.int32]
    firsts: Ints
    counts: Ints
    quotas: Ints

    @classmethod
    def of(cls, group: WindowIndex) -> "PersonWindows":
        """Return all windows of a group whose runs are ordered by person."""
        begins = np.flatnonzero(np.diff(group.persons, prepend=-1))
        persons = group.persons[begins]
        assert (np.diff(persons) > 0).all(), "runs are ordered by person"
        firsts = begins if group.ends is None else np.where(begins > 0, group.ends[begins - 1], 0)
        counts = np.diff(firsts, append=len(group))
        return cls(persons, firsts, counts, counts)


def limited(groups: Sequence[PersonWindows], limit: int, key: Key) -> list[PersonWindows]:
    """Share a limit per person out over the groups of a corpus, in proportion to the person's windows in each.

    Args:
        groups: Persons of each group.
        limit: Largest number of windows of one person in all groups together.
        key: Decides where a share that is no whole number is rounded up, for every person on its own.
    """
    n_persons = 1 + max((int(group.persons.max()) for group in groups if len(group.persons)), default=-1)
    totals = np.zeros(n_persons, dtype=np.int64)
    for group in groups:
        totals[group.persons] += group.counts
    phases = number_below(np.maximum(totals, 1), subkey(key, np.arange(n_persons)))
    earlier = np.zeros(n_persons, dtype=np.int64)
    out = []
    for group in groups:
        total, phase, before = totals[group.persons], phases[group.persons], earlier[group.persons]
        after = before + group.counts
        shares = (after * limit + phase) // total - (before * limit + phase) // total
        out.append(replace(group, quotas=np.where(total > limit, shares, group.counts)))
        earlier[group.persons] = after
    return out


class PersonSample:
    """So many windows of each person, another sample for another key.

    Args:
        persons: Windows and quota of each person.
        side_by_side: Whether a person's sample is neighbouring windows, for orders that read runs.
    """

    def __init__(self, persons: PersonWindows, *, side_by_side: bool) -> None:
        self._persons = persons
        self._side_by_side = side_by_side
        self._ends = np.cumsum(persons.quotas)

    def windows(self, numbers: Ints, key: Key) -> Ints:
        """Return the group's windows behind the numbers that run through all quotas."""
        person = self._ends.searchsorted(numbers, side="right")
        quotas, counts = self._persons.quotas[person], self._persons.counts[person]
        nth = numbers - (self._ends[person] - quotas)
        keys = subkey(key, person)
        if self._side_by_side:
            # Whoever is shown whole stays as it is: a shift would only cut through one of its runs.
            shift = np.where(quotas < counts, number_below(counts, keys), 0)
            return np.asarray(self._persons.firsts[person] + (nth + shift) % counts)
        return self._persons.firsts[person] + permuted(nth, counts, keys)
