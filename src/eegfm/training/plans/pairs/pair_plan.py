"""Plan that draws batches of pairs. Only the seed decides the order."""

import logging
from collections import Counter
from functools import lru_cache

import numpy as np
import pandas as pd

from eegfm.batch import rank_slice
from eegfm.errors import ConfigError, SplitError
from eegfm.store.stores import Stores, store_of
from eegfm.training.plans.pairs.config import PairConfig
from eegfm.training.plans.pairs.matching import Bits
from eegfm.training.plans.pairs.stratum import Stratum, strata
from eegfm.training.plans.plan import Draw, Extent, Groups
from eegfm.windows.runs import Ints

logger = logging.getLogger(__name__)


class PairPlan:
    """A plan in which windows come in pairs, each step a pure function of (seed, step, rank) and the set of windows.

    An epoch matches the windows anew. A window is in at most one pair of an epoch, so that no pair comes twice in one,
    whatever the number of ranks. Pairs are listed group by group, groups in random order, and dealt out to batches like
    cards, one to each batch in turn: of a group with m pairs, each of K batches gets m / K rounded down or up. No other
    way to fill the batches has more distinct groups in them or fewer false negatives of one group. Rank r of R takes
    every R-th pair of a batch from the r-th, which spreads the groups over the ranks likewise. A step is one batch, of
    one corpus, montage and length. Batches come in random
    order, those of several montages mixed; each montage has its share of the steps by its pairs.

    What no batch holds is left out of the epoch, other windows in every epoch: those without a partner, and fewer
    pairs per montage than a batch. Every epoch has the same number of steps.

    Args:
        windows: Runs of windows of one cut and one split, see ``eegfm.windows.runs.COLUMNS``; with ``identity`` where
            persons go under several names. The order of the rows changes nothing.
        groups: By corpus, where these windows are drawn from, e.g. ``window_groups`` of the same table.
        stores: Stores by corpus.
        pairing: Configuration of the pairs.
        batch_size: Pairs per step, all ranks together.
        seed: Seed of matching and order.
        rank: Number of this process.
        world_size: Number of processes.

    Attributes:
        n_steps_per_epoch: Batches of every epoch.
        counts: Windows, groups and pairs of every epoch, and what is left out of it, each under its own name.

    Raises:
        ConfigError: Several cuts or splits, no montage has the pairs of one batch, the ranks cannot share a batch
            evenly, or a window is not drawn from.
        SplitError: There is no pair at all; the message has the counts.
        StoreError: A recording is not in its store.
    """

    def __init__(
        self,
        windows: pd.DataFrame,
        groups: Groups,
        stores: Stores,
        pairing: PairConfig,
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        for column in ("cut", "split"):
            _refuse_several(windows, column)
        if batch_size % world_size:
            raise ConfigError(f"batch_size {batch_size} is no multiple of {world_size} devices; change one")
        self._own, self._seed = rank_slice(rank, world_size), seed
        found = [
            _Matched(stratum, pairing, batch_size, store_of(stores, stratum.index.corpus).rate_hz)
            for stratum in strata(windows, groups, stores)
        ]
        self.counts = _total(found)
        described = ", ".join(f"{name} {n}" for name, n in self.counts.items())
        if not self.counts["n_pairs"]:
            raise SplitError(f"no {pairing.name} pair ({described}); cut more recordings, or choose other pairs")
        self._matched = [matched for matched in found if matched.n_batches]
        for matched in found:
            if not matched.n_batches:
                logger.warning("%s: %d pairs fill no batch of %d", matched.stratum.name, matched.n_pairs, batch_size)
        if not self._matched:
            most = max(found, key=lambda matched: matched.n_pairs)
            raise ConfigError(
                f"batch_size {batch_size}: no montage has so many pairs, the most are {most.n_pairs} of "
                f"{most.stratum.name}; lower it or add recordings"
            )
        self.n_steps_per_epoch = sum(matched.n_batches for matched in self._matched)
        self.n_windows_per_step = 2 * batch_size
        # Two, because what reads ahead is in the next epoch already.
        self._epoch = lru_cache(maxsize=2)(self._draw)
        logger.info("Pairs, %s", described)

    def step(self, step: int) -> list[Draw]:
        """The batch of one step, counted from 0 over all epochs: 2B windows, the B anchors first."""
        epoch, turn = divmod(step, self.n_steps_per_epoch)
        of_stratum, batch, pairs = self._epoch(epoch)
        k = int(of_stratum[turn])
        return [self._matched[k].draw(pairs[k][:, batch[turn], self._own])]

    def extents(self, step: int) -> list[Extent]:
        """Rows to read for one step: those of its windows."""
        return [Extent.of(draw.group, draw.positions, ("pairs", step)) for draw in self.step(step)]

    def _draw(self, epoch: int) -> tuple[Ints, Ints, list[Ints]]:
        """By turn the stratum and the number of its batch; and by stratum its pairs."""
        n_batches = [matched.n_batches for matched in self._matched]
        of_stratum = np.repeat(np.arange(len(n_batches)), n_batches)
        batch = np.concatenate([np.arange(n) for n in n_batches])
        order = np.argsort(self._bits(epoch, "order").random_raw(len(batch)), kind="stable")
        pairs = [matched.deal(self._bits(epoch, matched.stratum.name)) for matched in self._matched]
        return of_stratum[order], batch[order], pairs

    def _bits(self, epoch: int, purpose: str) -> Bits:
        return Bits(np.random.SeedSequence([self._seed, epoch, *purpose.encode()]))


class _Matched:
    """A stratum's usable windows, how they are matched, and how many batches that gives in every epoch."""

    def __init__(self, stratum: Stratum, pairing: PairConfig, batch_size: int, rate_hz: float) -> None:
        unusable = pairing.unusable(stratum)
        n_windows = len(stratum)
        for_nothing = np.zeros(n_windows, dtype=bool)
        for which in unusable.values():
            for_nothing |= which
        self.stratum = stratum.only(~for_nothing)
        self._matching = pairing.matching(self.stratum, rate_hz)
        self._likeness = pairing.likeness(self.stratum, rate_hz)
        self._batch_size = batch_size
        self.n_pairs = self._matching.n_pairs
        self.n_batches = self.n_pairs // batch_size
        self.counts = {
            "n_windows": n_windows,
            **{name: int(which.sum()) for name, which in unusable.items()},
            **self._matching.counted,
            "n_windows_without_partner": len(self.stratum) - 2 * self.n_pairs,
            "n_pairs": self.n_pairs,
            "n_pairs_beyond_batches": self.n_pairs - self.n_batches * batch_size,
        }

    def deal(self, bits: Bits) -> Ints:
        """(2, n_batches, batch_size) anchors and positives of an epoch."""
        pairs = np.stack(self._matching.draw(bits))
        turn_of_group = bits.random_raw(int(self._matching.group.max()) + 1)
        order = np.argsort(turn_of_group[self._matching.group[pairs[0]]], kind="stable")
        dealt = pairs[:, order[: self.n_batches * self._batch_size]]
        return np.ascontiguousarray(dealt.reshape(2, self._batch_size, self.n_batches).swapaxes(1, 2))

    def draw(self, pairs: Ints) -> Draw:
        """Name the windows of (2, B) pairs."""
        windows = pairs.reshape(-1)
        return Draw(self.stratum.index, self.stratum.position[windows], self._likeness.of(windows))


def _total(found: list[_Matched]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for matched in found:
        total.update(matched.counts)
    return {"n_pairs": 0, **total}


def _refuse_several(windows: pd.DataFrame, column: str) -> None:
    values = sorted(windows[column].unique()) if column in windows else []
    if len(values) > 1:
        raise ConfigError(f"pairs are made of windows of one {column}, these are of {', '.join(values)}; choose one")
