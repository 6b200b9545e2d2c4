"""Which windows each step takes: the declared ratio exactly, in an order that the seed alone decides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eegfm.batch import WindowIndex
from eegfm.errors import ConfigError

Groups = Mapping[str, Sequence[WindowIndex]]
"""By corpus, its windows; each group is of one montage and one length."""


@dataclass(frozen=True)
class Draw:
    """Windows of one micro-batch: positions in one group."""

    group: WindowIndex
    positions: NDArray[np.int64]


class MixturePlan:
    """Endless sequence of steps, each a pure function of (seed, epoch, step) and of the windows.

    Every step takes one micro-batch per corpus, of one montage and one length. A corpus with several takes
    one per step, drawn in proportion to their windows. An epoch visits a group in shuffled order; a group
    that runs out before the epoch ends is shuffled anew.

    Args:
        groups: Windows by corpus.
        weights: Share of each corpus in every step.
        batch_size: Windows per step.
        seed: Seed of the order.

    Raises:
        ConfigError: A corpus has no window or no weight, or the weights do not divide the batch size.
    """

    def __init__(self, groups: Groups, weights: Mapping[str, float], batch_size: int, seed: int) -> None:
        self.counts = batch_counts(weights, batch_size)
        empty = [c for c in self.counts if not sum(len(group) for group in groups.get(c, ()))]
        if empty:
            raise ConfigError(f"no training window of corpus {', '.join(empty)}; ingest it or drop its mixture weight")
        n_windows = sum(len(group) for corpus in self.counts for group in groups[corpus])
        self.n_steps_per_epoch = math.ceil(n_windows / batch_size)
        self._corpora = [
            _CorpusOrder([g for g in groups[corpus] if len(g)], count, self.n_steps_per_epoch, (seed, k))
            for k, (corpus, count) in enumerate(self.counts.items())
        ]

    def step(self, step: int) -> list[Draw]:
        """Micro-batches of one step, counted from 0 over all epochs, in the order of the corpora's names."""
        epoch, step_in_epoch = divmod(step, self.n_steps_per_epoch)
        return [order.draw(epoch, step_in_epoch) for order in self._corpora]


def batch_counts(weights: Mapping[str, float], batch_size: int) -> dict[str, int]:
    """Windows of each corpus in a batch, by corpus name in alphabetical order.

    Raises:
        ConfigError: A weight is not positive, they do not sum to 1, or a count is not whole; the message names
            the nearest batch sizes that work.
    """
    if not weights or min(weights.values()) <= 0 or abs(sum(weights.values()) - 1) > 1e-6:
        raise ConfigError(f"mixture weights {dict(weights)} must be positive and sum to 1; change mix.weights")
    shares = {c: Fraction(weights[c]).limit_denominator(1000) for c in sorted(weights)}
    counts = {c: share * batch_size for c, share in shares.items()}
    if all(count.denominator == 1 and count > 0 for count in counts.values()):
        return {c: int(count) for c, count in counts.items()}
    unit = math.lcm(*(share.denominator for share in shares.values()))
    below = batch_size // unit * unit
    nearest = [size for size in (below, below + unit) if size > 0]
    wanted = ", ".join(f"{c} {float(weights[c] * batch_size):g}" for c in shares)
    raise ConfigError(
        f"batch_size {batch_size} cannot be shared out by the mixture weights ({wanted} windows); "
        f"nearest batch sizes that can: {' or '.join(map(str, nearest))}; change batch_size or the weights"
    )


class _CorpusOrder:
    """Order of one corpus's windows.

    Args:
        groups: Windows, each group of one montage and one length, none empty.
        count: Windows per step.
        n_steps: Steps per epoch.
        seed: Seed, and index of the corpus.
    """

    def __init__(self, groups: Sequence[WindowIndex], count: int, n_steps: int, seed: tuple[int, int]) -> None:
        self._groups = groups
        self._count = count
        self._n_steps = n_steps
        self._seed = seed
        # The current epoch and shuffle; the one before is dropped, ten million int64 are 80 MB.
        self._turns = lru_cache(maxsize=1)(self._draw_turns)
        self._shuffled = lru_cache(maxsize=len(groups))(self._shuffle)

    def draw(self, epoch: int, step: int) -> Draw:
        chosen, n_earlier = self._turns(epoch)
        k = int(chosen[step])
        positions = self._stretch(epoch, k, int(n_earlier[step]) * self._count)
        return Draw(self._groups[k], positions)

    def _draw_turns(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Per step of an epoch, which group has its turn, and how many turns it had before."""
        if len(self._groups) == 1:
            return np.zeros(self._n_steps, dtype=np.int64), np.arange(self._n_steps)
        sizes = np.array([len(group) for group in self._groups], dtype=np.float64)
        seed, corpus = self._seed
        rng = np.random.default_rng([seed, epoch, corpus])
        chosen = rng.choice(len(sizes), size=self._n_steps, p=sizes / sizes.sum()).astype(np.int64)
        n_earlier = np.zeros(self._n_steps, dtype=np.int64)
        for k in range(len(sizes)):
            turns = chosen == k
            n_earlier[turns] = np.arange(turns.sum())
        return chosen, n_earlier

    def _stretch(self, epoch: int, k: int, first: int) -> NDArray[np.int64]:
        """Positions ``first`` to ``first + count`` of a group's shuffles, laid end to end."""
        n_windows = len(self._groups[k])
        parts: list[NDArray[np.int64]] = []
        n_left = self._count
        while n_left:
            cycle, offset = divmod(first, n_windows)
            parts.append(self._shuffled(epoch, k, cycle)[offset : offset + n_left])
            first += len(parts[-1])
            n_left -= len(parts[-1])
        return np.concatenate(parts)

    def _shuffle(self, epoch: int, k: int, cycle: int) -> NDArray[np.int64]:
        seed, corpus = self._seed
        rng = np.random.default_rng([seed, epoch, corpus, k, cycle])
        return rng.permutation(len(self._groups[k])).astype(np.int64, copy=False)
