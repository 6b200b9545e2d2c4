"""Interface of plans: the windows that each step takes, and the rows to read for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eegfm.batch import WindowIndex, rank_slice

Groups = Mapping[str, Sequence[WindowIndex]]
"""By corpus, its windows; each group is of one montage and one length."""


@dataclass(frozen=True)
class Likeness:
    """Windows that are alike, be they of one pair or not: those of one group that lie near each other.

    Args:
        group: (W,) number of the group of each window: the movie, the condition, the recording.
        place: (W,) where in its group each window lies: the moment, 0, the first sample.
        reach: Largest distance of two windows that are alike.
        block: (W,) number of the block of each window, outside of which it has no negatives; None where there are none.
        pairing: Name of the pairing, for measures.
    """

    group: NDArray[np.int64]
    place: NDArray[np.int64]
    reach: int
    block: NDArray[np.int64] | None = None
    pairing: str = ""

    def of(self, windows: NDArray[np.int64]) -> "Likeness":
        """Return the likeness of chosen windows, in their order."""
        block = None if self.block is None else self.block[windows]
        return Likeness(self.group[windows], self.place[windows], self.reach, block, self.pairing)


@dataclass(frozen=True)
class Draw:
    """Windows of one micro-batch.

    Args:
        group: Windows to draw from.
        positions: (B,) which windows of the group.
        likeness: None where windows are drawn one by one. Otherwise windows i and i + B/2 are a pair, anchors first,
            and windows that are alike without being a pair are no negatives of each other.
    """

    group: WindowIndex
    positions: NDArray[np.int64]
    likeness: Likeness | None = None

    def cuts(self, n: int) -> "list[Draw]":
        """Cut into ``n`` draws of equal size, as ranks are cut; a pair stays together."""
        return [self.part(k, n) for k in range(n)]

    def part(self, k: int, n: int) -> "Draw":
        """Return part number ``k`` of ``n``."""
        assert len(self.positions) % n == 0, "the plan's batch can be shared out"
        own, alike = np.arange(len(self.positions))[rank_slice(k, n)], self.likeness
        return Draw(self.group, self.positions[own], None if alike is None else alike.of(own))


@dataclass(frozen=True)
class Extent:
    """Rows to read of one store.

    Args:
        corpus: Corpus name.
        montage: Montage name.
        first_rows: (E,) first row of each contiguous stretch of the montage's signals, in rising order.
        n_rows: (E,) rows of each.
        key: Name of these rows; steps that need the same rows, such as those of one pool, have the same key.
    """

    corpus: str
    montage: str
    first_rows: NDArray[np.int64]
    n_rows: NDArray[np.int64]
    key: tuple[str | int, ...]

    @classmethod
    def of(cls, group: WindowIndex, positions: NDArray[np.int64], key: tuple[str | int, ...]) -> "Extent":
        """Return the contiguous stretches that hold these windows."""
        # Sorted twice: windows in order are found faster, and their rows need not be in order.
        firsts = np.sort(group.locate(np.sort(positions))[0])
        begins = np.flatnonzero(np.diff(firsts, prepend=firsts[0] - group.n_samples - 1) > group.n_samples)
        lasts = firsts[np.append(begins[1:], len(firsts)) - 1]
        n_rows = lasts + group.n_samples - firsts[begins]
        return cls(group.corpus, group.montage, firsts[begins], n_rows, (group.corpus, *key))


class Plan(Protocol):
    """Endless sequence of steps, each a pure function of the seed, the step and the set of windows.

    A plan decides the windows of a step for all ranks together, and hands out those of its own rank
    (``eegfm.batch.rank_slice``).
    """

    @property
    def n_steps_per_epoch(self) -> int:
        """Steps of every epoch."""
        ...

    @property
    def n_windows_per_step(self) -> int:
        """Windows of every step, all ranks together."""
        ...

    def look(self) -> None:
        """Read what decides, of the samples of all windows, which of them are drawn; else the first step does."""
        ...

    def step(self, step: int) -> list[Draw]:
        """Return the micro-batches of one step, counted from 0 over all epochs."""
        ...

    def extents(self, step: int) -> list[Extent]:
        """Return the rows to read for one step."""
        ...
