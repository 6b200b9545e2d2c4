"""Pairs that are matched once per pass and dealt out to batches like cards."""

import numpy as np

from eegfm.training.plans.pairs.dealt import DealtPairs
from eegfm.training.plans.pairs.matching import Matching
from eegfm.training.plans.pairs.source import Batching
from eegfm.training.plans.pairs.stratum import Stratum
from eegfm.training.plans.permutation import Ints
from eegfm.training.plans.plan import Likeness


class MatchedPairs(DealtPairs):
    """A stratum's usable windows, matched anew in every pass.

    Pairs are listed group by group, groups in random order, and dealt out to batches like cards, one to each batch in
    turn: of a group with m pairs, each of K batches gets m / K rounded down or up. No other way to fill the batches has
    more distinct groups in them or fewer false negatives of one group. What no batch holds is left out of the pass,
    other windows in every pass: those without a partner, and fewer pairs than a batch.

    Args:
        stratum: The usable windows.
        matching: How they are matched.
        likeness: Windows that are no negatives of each other.
        batching: Pairs of a batch, and the seed.
        counts: Windows, and those that are of no use.
    """

    def __init__(
        self, stratum: Stratum, matching: Matching, likeness: Likeness, batching: Batching, counts: dict[str, int]
    ) -> None:
        super().__init__(stratum, likeness, batching)
        self._matching = matching
        self.n_pairs = matching.n_pairs
        self.batch_pairs = min(batching.n_pairs, self.n_pairs) if batching.may_shrink else batching.n_pairs
        self.n_batches = self.n_pairs // self.batch_pairs if self.batch_pairs else 0
        self.counts = {
            **counts,
            **matching.counted,
            "n_windows_without_partner": len(stratum) - matching.n_windows,
            "n_pairs": self.n_pairs,
            "n_pairs_beyond_batches": self.n_pairs - self.n_batches * self.batch_pairs,
        }

    def _deal(self, epoch: int, cycle: int) -> Ints:
        """See the base class."""
        bits = self._batching.bits(epoch, cycle, self.name)
        pairs = np.stack(self._matching.draw(bits))
        turn_of_group = bits.random_raw(int(self._matching.group.max()) + 1)
        order = np.argsort(turn_of_group[self._matching.group[pairs[0]]], kind="stable")
        dealt = pairs[:, order[: self.n_batches * self.batch_pairs]]
        return np.ascontiguousarray(dealt.reshape(2, self.batch_pairs, self.n_batches).swapaxes(1, 2))
