"""Plan that draws windows of several corpora in exactly the declared ratio. Only the seed decides the order."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eegfm.batch import WindowIndex, rank_slice
from eegfm.errors import ConfigError
from eegfm.mixture.shares import batch_counts
from eegfm.training.blocks import ShuffleParams
from eegfm.training.plans.group_order import DrawnBy, GroupOrder, Pool, classes_of
from eegfm.training.plans.permutation import Key, new_key
from eegfm.training.plans.person_windows import PersonWindows, limited
from eegfm.training.plans.plan import Draw, Extent, Groups
from eegfm.training.plans.turns import Turns

FULL_SHUFFLE = ShuffleParams()


class MixturePlan:
    """A plan in which windows come one by one, each step a pure function of (seed, epoch, step, rank) and the windows.

    Every step takes one micro-batch per corpus, of one montage and one length. A corpus with several takes one per
    step, in proportion to their windows: over an epoch each has its share of the steps, to one step. An epoch visits
    a group in shuffled order; a group that runs out before the epoch ends is shuffled anew. Rank r of R takes
    every R-th window of every micro-batch from the r-th: all ranks together take what a single one does.

    Args:
        groups: Windows by corpus, ordered by person.
        weights: Share of each corpus in every step.
        batch_size: Windows per step, all ranks together.
        seed: Seed of the order.
        drawn_by: ``windows`` visits every window once per pass; ``persons`` visits every person once per round and
            takes one of its windows, and montages take turns by their persons. ``classes`` visits every class (target
            ``label``) once per round and takes one of its windows; montages take turns by their windows, and each has
            rounds of the classes that it has.
        max_windows_per_person: Windows of one person and corpus that an epoch shows; None for all.
        shuffle: Shuffling of windows.
        rank: Number of this process.
        world_size: Number of processes.
        n_cuts: Parts that every process can cut its micro-batches into.

    Raises:
        ConfigError: A corpus has no window or no weight, the weights do not divide the batch size, runs are asked for
            where persons or classes take turns, or classes shall take turns where windows have none or are limited.
    """

    def __init__(
        self,
        groups: Groups,
        weights: Mapping[str, float],
        batch_size: int,
        seed: int,
        *,
        drawn_by: DrawnBy = "windows",
        max_windows_per_person: int | None = None,
        shuffle: ShuffleParams = FULL_SHUFFLE,
        rank: int = 0,
        world_size: int = 1,
        n_cuts: int = 1,
    ) -> None:
        self.n_windows_per_step = batch_size
        self.counts = batch_counts(weights, batch_size, world_size, n_cuts)
        empty = [c for c in self.counts if not sum(len(group) for group in groups.get(c, ()))]
        if empty:
            raise ConfigError(f"no training window of corpus {', '.join(empty)}; ingest it or drop its mixture weight")
        _refuse_rounds(drawn_by, groups, self.counts, max_windows_per_person, shuffle)
        orders: dict[str, list[GroupOrder]] = {}
        for corpus in self.counts:
            filled = [group for group in groups[corpus] if _is_drawn(group, drawn_by)]
            persons: list[PersonWindows | None] = [None] * len(filled)
            if drawn_by == "persons" or max_windows_per_person is not None:
                persons = _persons(filled, max_windows_per_person, new_key(seed, corpus, "limit"))
            orders[corpus] = [
                GroupOrder(group, each, shuffle, drawn_by, seed) for group, each in zip(filled, persons, strict=True)
            ]
        n_windows = sum(order.n_windows for found in orders.values() for order in found)
        self.n_steps_per_epoch = math.ceil(n_windows / batch_size)
        self._corpora = [
            _CorpusOrder(orders[corpus], _Part(count, rank, world_size), self.n_steps_per_epoch, new_key(seed, corpus))
            for corpus, count in self.counts.items()
        ]

    def look(self) -> None:
        """No sample decides which windows are drawn."""

    def step(self, step: int) -> list[Draw]:
        """Return the micro-batches of one step, counted from 0 over all epochs, in the order of the corpora's names."""
        epoch, step_in_epoch = divmod(step, self.n_steps_per_epoch)
        return [corpus.draw(epoch, step_in_epoch) for corpus in self._corpora]

    def extents(self, step: int) -> list[Extent]:
        """Return the rows to read for one step: its windows, or with runs the whole pools that it draws from."""
        epoch, step_in_epoch = divmod(step, self.n_steps_per_epoch)
        return [extent for corpus in self._corpora for extent in corpus.extents(epoch, step_in_epoch)]

    @property
    def passes_per_epoch(self) -> dict[str, float]:
        """Repetitions of each corpus in an epoch: passes through its windows, or rounds of its persons."""
        return {
            corpus: self.n_steps_per_epoch * self.counts[corpus] / order.n_turns
            for corpus, order in zip(self.counts, self._corpora, strict=True)
        }


def _is_drawn(group: WindowIndex, drawn_by: DrawnBy) -> bool:
    return bool((classes_of(group) >= 0).any()) if drawn_by == "classes" else len(group) > 0


def _refuse_rounds(
    drawn_by: DrawnBy, groups: Groups, corpora: Iterable[str], limit: int | None, shuffle: ShuffleParams
) -> None:
    """Refuse rounds of persons or classes that cannot be."""
    if drawn_by != "windows" and shuffle.run_windows > 1:
        remedy = "mix.by to windows or hours" if drawn_by == "persons" else "draw by windows"
        raise ConfigError(
            f"shuffle.run_windows {shuffle.run_windows}: {drawn_by} in turn are no runs of neighbouring windows; "
            f"set it to 1, or {remedy}"
        )
    if drawn_by != "classes":
        return
    if limit is not None:
        raise ConfigError(
            f"max_windows_per_person {limit}: windows of classes in turn have no limit per person; leave it out, or "
            "draw by windows"
        )
    without = [c for c in corpora if not any(_is_drawn(group, drawn_by) for group in groups[c])]
    if without:
        raise ConfigError(
            f"windows of corpus {', '.join(without)} have no class to take turns by (drawn by classes); draw by "
            "windows, which fits numbers and several outputs"
        )


def _persons(groups: Sequence[WindowIndex], limit: int | None, key: Key) -> "list[PersonWindows | None]":
    persons = [PersonWindows.of(group) for group in groups]
    return [*persons] if limit is None else [*limited(persons, limit, key)]


@dataclass(frozen=True)
class _Part:
    """Share of one rank in a micro-batch of ``count`` windows."""

    count: int
    rank: int
    world_size: int

    def places(self, turn: int) -> NDArray[np.int64]:
        """Places in a group's order, of its micro-batch number ``turn``."""
        return np.arange(turn * self.count, (turn + 1) * self.count)[rank_slice(self.rank, self.world_size)]


_N_TURNS = 16


class _CorpusOrder:
    """Order of one corpus's micro-batches: which group has its turn, and how many turns it had before.

    Args:
        orders: One per group.
        part: Share of this rank in a micro-batch.
        n_steps: Steps per epoch.
        key: Key of the corpus.
    """

    def __init__(self, orders: Sequence[GroupOrder], part: _Part, n_steps: int, key: Key) -> None:
        self._orders = orders
        self._part = part
        self._turns = Turns([order.n_turns for order in orders], n_steps, key)
        self.n_turns = self._turns.total
        # Batches are gathered up to some sixty steps behind the reading ahead; both find the same blocks.
        self._found = lru_cache(maxsize=16 * len(orders))(self._find)
        # Two pools of each group: one takes milliseconds to list, and many steps draw from it.
        self._pool_extent = lru_cache(maxsize=2 * len(orders))(self._list_pool)

    def draw(self, epoch: int, step: int) -> Draw:
        k, turn = self._turns.at(epoch, step)
        order = self._orders[k]
        return Draw(order.group, self._positions(k, epoch, turn))

    def extents(self, epoch: int, step: int) -> list[Extent]:
        k, turn = self._turns.at(epoch, step)
        order, places = self._orders[k], self._part.places(turn)
        pools = list(order.pools(epoch, places))
        if pools:
            return [self._pool_extent(k, pool) for pool in pools]
        return [Extent.of(order.group, self._positions(k, epoch, turn), (k, "step", epoch, step))]

    def _positions(self, k: int, epoch: int, turn: int) -> NDArray[np.int64]:
        block, place = divmod(turn, _N_TURNS)
        found: NDArray[np.int64] = self._found(k, epoch, block)[place]
        return found

    def _find(self, k: int, epoch: int, block: int) -> NDArray[np.int64]:
        """(turns, B) windows of neighbouring micro-batches: numpy costs by the call more than by the window."""
        turns = range(block * _N_TURNS, (block + 1) * _N_TURNS)
        places = np.concatenate([self._part.places(turn) for turn in turns])
        found = self._orders[k].positions(epoch, places).reshape(_N_TURNS, -1)
        found.flags.writeable = False
        return found

    def _list_pool(self, k: int, pool: Pool) -> Extent:
        return Extent.of(self._orders[k].group, self._orders[k].pool_positions(pool), (k, "pool", *pool))
