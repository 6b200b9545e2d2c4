"""Pairs of windows of which some are left out for their samples, which are read when the first batch is drawn."""

from collections.abc import Callable
from threading import Lock

from eegfm.training.plans.pairs.source import PairSource
from eegfm.training.plans.plan import Draw


class UnreadPairs:
    """A source that counts all windows until a batch is drawn, and draws from those that are left.

    What is counted decides the length of an epoch, so nothing has to be read for that. Which windows are left depends
    on their samples alone: whoever draws first, and from whatever step on, all batches are the same.

    Args:
        every: The source as it is before any window is left out.
        find: Reads the samples, and gives the source of the windows that are left.
    """

    def __init__(self, every: PairSource, find: Callable[[], PairSource]) -> None:
        self.name, self.n_pairs, self.counts = every.name, every.n_pairs, every.counts
        self.batch_pairs, self.n_batches = every.batch_pairs, every.n_batches
        self._find, self._lock = find, Lock()
        self._found: PairSource | None = None

    def usable(self) -> PairSource:
        """The source of the windows that are left; the first call reads samples."""
        with self._lock:  # one thread gathers batches, another one reads ahead
            if self._found is None:
                self._found = self._find()
            return self._found

    def draw(self, epoch: int, turn: int) -> Draw:
        """Batch number ``turn`` of an epoch; see ``PairSource``."""
        return self.usable().draw(epoch, turn)
