"""Source of pairs: the batches of one pairing in one stratum of windows."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from eegfm.training.plans.pairs.matching import Bits
from eegfm.training.plans.plan import Draw


@dataclass(frozen=True)
class Batching:
    """Size of a batch of pairs, and the way it is drawn.

    Args:
        n_pairs: Pairs of a batch, all ranks together.
        seed: Seed of matching and order.
        may_shrink: Whether fewer pairs than a batch make a smaller one. Otherwise they make none.
    """

    n_pairs: int
    seed: int
    may_shrink: bool = False

    def bits(self, epoch: int, cycle: int, purpose: str) -> Bits:
        """Random words of one pass of an epoch; every purpose has others."""
        return Bits(np.random.SeedSequence([self.seed, epoch, cycle, *purpose.encode()]))


class PairSource(Protocol):
    """Endless batches of pairs of one corpus, montage and length.

    Where windows are left out for their samples, all numbers are those before.

    Attributes:
        name: Corpus, montage and length in words.
        n_pairs: Pairs of every pass, those that fill no batch included.
        batch_pairs: Pairs of a batch.
        n_batches: Batches of every pass; 0 where the pairs fill none.
        counts: Windows, groups and pairs of a pass, and what is left out of it, each under its own name.
    """

    name: str
    n_pairs: int
    batch_pairs: int
    n_batches: int
    counts: dict[str, int]

    def usable(self) -> "PairSource":
        """The source of the windows that are left when all are that may be drawn; this may read their samples.

        Raises:
            ConfigError: They fill no batch.
            StoreError: Samples differ from their checksums.
        """
        ...

    def draw(self, epoch: int, turn: int) -> Draw:
        """Batch number ``turn`` of an epoch, of all ranks together: 2B windows of B pairs, the B anchors first.

        Behind the last batch of a pass, windows are matched anew. The first draw may read samples; see ``usable``.
        """
        ...
