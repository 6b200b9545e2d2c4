"""Plan that draws windows of several corpora in exactly the declared ratio. Only the seed decides the order."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eegfm.batch import WindowIndex, rank_slice
from eegfm.errors import ConfigError
from eegfm.training.config import ShuffleParams
from eegfm.training.plans.group_order import DrawnBy, GroupOrder, Pool
from eegfm.training.plans.permutation import Key, new_key, number_below, subkey
from eegfm.training.plans.person_windows import PersonWindows, limited
from eegfm.training.plans.plan import Draw, Extent, Groups

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
            takes one of its windows, and montages take turns by their persons.
        max_windows_per_person: Windows of one person and corpus that an epoch shows; None for all.
        shuffle: How far windows are shuffled.
        rank: Number of this process.
        world_size: Number of processes.

    Raises:
        ConfigError: A corpus has no window or no weight, the weights do not divide the batch size, or runs are asked
            for where persons take turns.
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
    ) -> None:
        self.n_windows_per_step = batch_size
        self.counts = batch_counts(weights, batch_size, world_size)
        empty = [c for c in self.counts if not sum(len(group) for group in groups.get(c, ()))]
        if empty:
            raise ConfigError(f"no training window of corpus {', '.join(empty)}; ingest it or drop its mixture weight")
        if drawn_by == "persons" and shuffle.run_windows > 1:
            raise ConfigError(
                f"shuffle.run_windows {shuffle.run_windows}: persons in turn are no runs of neighbouring windows; "
                "set it to 1, or mix.by to windows or hours"
            )
        orders: dict[str, list[GroupOrder]] = {}
        for corpus in self.counts:
            filled = [group for group in groups[corpus] if len(group)]
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

    def step(self, step: int) -> list[Draw]:
        """Micro-batches of one step, counted from 0 over all epochs, in the order of the corpora's names."""
        epoch, step_in_epoch = divmod(step, self.n_steps_per_epoch)
        return [corpus.draw(epoch, step_in_epoch) for corpus in self._corpora]

    def extents(self, step: int) -> list[Extent]:
        """Rows to read for one step: its windows, or with runs the whole pools that it draws from."""
        epoch, step_in_epoch = divmod(step, self.n_steps_per_epoch)
        return [extent for corpus in self._corpora for extent in corpus.extents(epoch, step_in_epoch)]

    @property
    def passes_per_epoch(self) -> dict[str, float]:
        """How often an epoch shows each corpus: passes through its windows, or rounds of its persons."""
        return {
            corpus: self.n_steps_per_epoch * self.counts[corpus] / order.n_turns
            for corpus, order in zip(self.counts, self._corpora, strict=True)
        }


def batch_counts(weights: Mapping[str, float], batch_size: int, world_size: int = 1) -> dict[str, int]:
    """Windows of each corpus in a batch, by corpus name in alphabetical order.

    Raises:
        ConfigError: A weight is not positive, they do not sum to 1, or a count is not whole on every process; the
            message names the nearest batch sizes that work.
    """
    if not weights or min(weights.values()) <= 0 or abs(sum(weights.values()) - 1) > 1e-6:
        raise ConfigError(f"mixture weights {dict(weights)} must be positive and sum to 1; change mix.weights")
    shares = {c: Fraction(weights[c]).limit_denominator(max(1000, batch_size)) for c in sorted(weights)}
    parts = {c: share * batch_size / world_size for c, share in shares.items()}
    if all(part.denominator == 1 and part > 0 for part in parts.values()):
        return {c: int(part) * world_size for c, part in parts.items()}
    unit = math.lcm(*((share / world_size).denominator for share in shares.values()))
    below = batch_size // unit * unit
    nearest = [size for size in (below, below + unit) if size > 0]
    wanted = ", ".join(f"{c} {float(weights[c] * batch_size / world_size):g}" for c in shares)
    over = f" on each of {world_size} devices" if world_size > 1 else ""
    raise ConfigError(
        f"batch_size {batch_size} cannot be shared out by the mixture weights ({wanted} windows{over}); "
        f"nearest batch sizes that can: {' or '.join(map(str, nearest))}; change batch_size or the weights"
    )


def rounded_weights(weights: Mapping[str, float], batch_size: int, world_size: int = 1) -> dict[str, float]:
    """The nearest weights that share a batch out in whole windows per process, at least one for every corpus.

    What is left after rounding down goes to the largest remainders (Hamilton's method), equal ones by name.

    Raises:
        ConfigError: The batch is no multiple of the processes, or too small to hold every corpus.
    """
    n_units = batch_size // world_size
    if batch_size % world_size or n_units < len(weights):
        raise ConfigError(
            f"batch_size {batch_size} cannot hold {len(weights)} corpora on each of {world_size} devices; "
            f"choose a multiple of {world_size}, at least {len(weights) * world_size}"
        )
    total = sum(weights.values())
    wanted = {corpus: weights[corpus] / total * n_units for corpus in sorted(weights)}
    counts = {corpus: max(math.floor(value), 1) for corpus, value in wanted.items()}
    while n_left := n_units - sum(counts.values()):
        one = 1 if n_left > 0 else -1
        changeable = [corpus for corpus, n in counts.items() if n + one > 0]
        counts[max(changeable, key=lambda corpus: one * (wanted[corpus] - counts[corpus]))] += one
    return {corpus: count / n_units for corpus, count in counts.items()}


def _persons(groups: Sequence[WindowIndex], limit: int | None, key: Key) -> "list[PersonWindows | None]":
    persons = [PersonWindows.of(group) for group in groups]
    return [*persons] if limit is None else [*limited(persons, limit, key)]


@dataclass(frozen=True)
class _Part:
    """What one rank takes of a micro-batch of ``count`` windows."""

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
        part: What this rank takes of a micro-batch.
        n_steps: Steps per epoch.
        key: Key of the corpus.
    """

    def __init__(self, orders: Sequence[GroupOrder], part: _Part, n_steps: int, key: Key) -> None:
        self._orders = orders
        self._part = part
        self._n_steps = n_steps
        self._key = key
        self._ends = np.cumsum([order.n_turns for order in orders]).tolist()
        self.n_turns: int = self._ends[-1]
        # Batches are gathered up to some sixty steps behind the reading ahead; both find the same blocks.
        self._found = lru_cache(maxsize=16 * len(orders))(self._find)
        # Two pools of each group: one takes milliseconds to list, and many steps draw from it.
        self._pool_extent = lru_cache(maxsize=2 * len(orders))(self._list_pool)

    def draw(self, epoch: int, step: int) -> Draw:
        k, turn = self._turn(epoch, step)
        order = self._orders[k]
        return Draw(order.group, self._positions(k, epoch, turn))

    def extents(self, epoch: int, step: int) -> list[Extent]:
        k, turn = self._turn(epoch, step)
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

    def _turn(self, epoch: int, step: int) -> tuple[int, int]:
        """Group of a step's micro-batch, and how many turns of the epoch it had before.

        The epoch's steps are shared out by the groups' windows, each share rounded to a whole number in one of its
        two directions, which one differs between epochs. Then each group's turns are spread evenly over the steps
        that the groups before it leave.
        """
        keys = subkey(self._key, epoch)
        rounding = int(number_below(self.n_turns, keys)[0])
        n_left, bound = self._n_steps, 0
        for k, end in enumerate(self._ends):
            first, bound = bound, (end * self._n_steps + rounding) // self.n_turns
            phase = int(number_below(max(n_left, 1), subkey(keys, k))[0])
            earlier, later = (((s * (bound - first)) + phase) // max(n_left, 1) for s in (step, step + 1))
            if later > earlier:
                return k, earlier
            step, n_left = step - earlier, n_left - (bound - first)
        raise AssertionError("the shares add up to the steps")
