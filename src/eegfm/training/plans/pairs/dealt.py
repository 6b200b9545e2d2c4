"""Base of the sources whose pairs are matched once per pass and dealt out to batches like cards."""

from abc import ABC, abstractmethod
from functools import lru_cache

from eegfm.training.plans.pairs.source import Batching
from eegfm.training.plans.pairs.stratum import Stratum
from eegfm.training.plans.permutation import Ints
from eegfm.training.plans.plan import Draw, Likeness

_N_KEPT = 2
"""Passes whose pairs are kept, because what reads ahead is in the next one already."""


class DealtPairs(ABC):
    """Batches of pairs of a stratum's windows, matched anew in every pass.

    Args:
        stratum: The usable windows.
        likeness: Windows that are no negatives of each other.
        batching: How many pairs a batch has, and the seed.
    """

    n_pairs: int
    batch_pairs: int
    n_batches: int
    counts: dict[str, int]

    def __init__(self, stratum: Stratum, likeness: Likeness, batching: Batching) -> None:
        self.stratum, self.name = stratum, stratum.name
        self._likeness, self._batching = likeness, batching
        self._dealt = lru_cache(maxsize=_N_KEPT)(self._deal)

    def usable(self) -> "DealtPairs":
        """The source itself: nothing has to be read."""
        return self

    def draw(self, epoch: int, turn: int) -> Draw:
        """Batch number ``turn`` of an epoch; see ``PairSource``."""
        cycle, batch = divmod(turn, self.n_batches)
        windows = self._dealt(epoch, cycle)[:, batch].reshape(-1)
        return Draw(self.stratum.index, self.stratum.position[windows], self._likeness.of(windows))

    @abstractmethod
    def _deal(self, epoch: int, cycle: int) -> Ints:
        """(2, n_batches, batch_pairs) anchors and positives of a pass."""
