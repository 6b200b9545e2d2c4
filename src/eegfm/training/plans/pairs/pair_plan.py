"""Plan that draws batches of pairs of several corpora. Only the seed decides the order."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, pairwise

import pandas as pd

from eegfm.errors import ConfigError, SplitError
from eegfm.store.stores import Stores, store_of
from eegfm.training.pairings import PairConfig
from eegfm.training.plans.pairs.source import Batching, PairSource
from eegfm.training.plans.pairs.stratum import strata
from eegfm.training.plans.permutation import new_key
from eegfm.training.plans.plan import Draw, Extent, Groups
from eegfm.training.plans.turns import Turns

logger = logging.getLogger(__name__)

_SHARE_OF_A_PAIRING = 2**32
"""Sum of the shares of a pairing: far above its batches, and far below what ``Turns`` can add up for all pairings."""
PairSources = Mapping[str, Sequence[Sequence[PairSource]]]
"""By corpus and pairing, the sources of pairs; those of a corpus have as many pairs per batch."""


class PairPlan:
    """A plan in which windows come in pairs, each step a pure function of (seed, step, rank) and the set of windows.

    Every step takes one batch of pairs per corpus, of one pairing, one montage and one length. The pairings of a corpus
    have equal shares of an epoch's steps, however many pairs each has: each asks for something of its own. The montages
    and lengths of a pairing have shares in proportion to their pairs. Shares are kept to one step. An epoch has as many
    steps as the pairs of all corpora fill, and matches the windows anew. Within a pass of a source no window is in two
    pairs; a source that runs out before the epoch ends is matched anew. An epoch counts all windows, those too that are
    left out for their samples when the first batch is drawn. Rank r of R takes every R-th pair of every batch from the
    r-th: all ranks together take what a single one does.

    Args:
        sources: By corpus, see ``pair_sources``; those that fill no batch are left out.
        seed: Seed of the order of turns.
        rank: Number of this process.
        world_size: Number of processes.

    Attributes:
        sources: The sources, by corpus in alphabetical order.
        counts: Windows of each corpus in a step.
    """

    def __init__(self, sources: PairSources, seed: int, *, rank: int = 0, world_size: int = 1) -> None:
        filled = {corpus: _that_fill_a_batch(sources[corpus]) for corpus in sorted(sources)}
        self.sources = {corpus: [*chain(*sources[corpus])] for corpus in sorted(sources)}
        self._filled = {corpus: [*chain(*found)] for corpus, found in filled.items()}
        assert all(self._filled.values()), "every corpus fills a batch"
        self._rank, self._world_size = rank, world_size
        self.counts = {corpus: 2 * of_corpus[0].batch_pairs for corpus, of_corpus in self._filled.items()}
        self.n_windows_per_step = sum(self.counts.values())
        self._n_batches = {corpus: sum(source.n_batches for source in found) for corpus, found in self._filled.items()}
        for found in self._filled.values():
            assert len({source.batch_pairs for source in found}) == 1, "batches of a corpus are of one size"
        n_windows = sum(self.counts[corpus] * n for corpus, n in self._n_batches.items())
        self.n_steps_per_epoch = max(n_windows // self.n_windows_per_step, 1)
        self._turns = {
            corpus: Turns(_shares(found), self.n_steps_per_epoch, new_key(seed, corpus, "pairs"))
            for corpus, found in filled.items()
        }

    def look(self) -> None:
        """Read the samples that decide which windows are drawn, where a pairing asks for them.

        Raises:
            ConfigError: A source has no batch left.
            StoreError: Samples differ from their checksums.
        """
        for source in (source for sources in self._filled.values() for source in sources):
            source.usable()

    def step(self, step: int) -> list[Draw]:
        """Batches of one step, counted from 0 over all epochs, in the order of the corpora's names.

        Each is B/2 anchors and then their B/2 positives.
        """
        epoch, step_in_epoch = divmod(step, self.n_steps_per_epoch)
        draws = []
        for corpus, sources in self._filled.items():
            k, turn = self._turns[corpus].at(epoch, step_in_epoch)
            draws.append(sources[k].draw(epoch, turn).part(self._rank, self._world_size))
        return draws

    def extents(self, step: int) -> list[Extent]:
        """Rows to read for one step: those of its windows."""
        return [Extent.of(draw.group, draw.positions, ("pairs", step)) for draw in self.step(step)]

    @property
    def passes_per_epoch(self) -> dict[str, float]:
        """Passes through the pairs of each corpus in an epoch."""
        return {corpus: self.n_steps_per_epoch / n_batches for corpus, n_batches in self._n_batches.items()}


def _that_fill_a_batch(by_pairing: Sequence[Sequence[PairSource]]) -> list[list[PairSource]]:
    """The sources that fill a batch, by pairing; pairings without one are left out."""
    filled = [[source for source in sources if source.n_batches] for sources in by_pairing]
    return [sources for sources in filled if sources]


def _shares(by_pairing: Sequence[Sequence[PairSource]]) -> list[int]:
    """Share of each source, in whole numbers of at least 1: the same sum for each pairing."""
    shares: list[int] = []
    for sources in by_pairing:
        *earlier, total = accumulate(source.n_batches for source in sources)
        assert total <= _SHARE_OF_A_PAIRING
        ends = [_SHARE_OF_A_PAIRING * n // total for n in (0, *earlier, total)]
        shares += [end - begin for begin, end in pairwise(ends)]
    return shares


def pair_sources(
    corpus: str, windows: pd.DataFrame, groups: Groups, stores: Stores, pairing: PairConfig, batching: Batching
) -> list[PairSource]:
    """Sources of the pairs of one corpus and one pairing, one for each montage and length.

    Args:
        corpus: Its name.
        windows: Runs of windows of one cut and one split, see ``eegfm.windows.runs.COLUMNS``; with ``identity`` where
            persons go under several names. Other corpora may stand there too. The order of the rows changes nothing.
        groups: By corpus, where these windows are drawn from, e.g. ``window_groups`` of the same table.
        stores: Stores by corpus.
        pairing: Configuration of the pairs.
        batching: Pairs of a batch, and the seed. Where batches may shrink, none need be filled.

    Raises:
        ConfigError: Several cuts or splits, no montage has the pairs of one batch, or a window is not drawn
            from.
        SplitError: There is no pair at all; the message has the counts.
        StoreError: A recording is not in its store, or its samples differ from their checksums.
    """
    windows = windows[windows["corpus"] == corpus]
    for column in ("cut", "split"):
        _refuse_several(windows, column)
    kind = pairing.build()
    found: list[PairSource] = [
        kind.source(stratum, store_of(stores, corpus), batching) for stratum in strata(windows, groups, stores)
    ]
    described = ", ".join(f"{name} {n}" for name, n in total_counts(found).items())
    if batching.may_shrink or any(source.n_batches for source in found):
        split = f" {windows['split'].iloc[0]}" if "split" in windows and len(windows) else ""
        logger.info("Pairs %s of %s%s: %s", pairing.name, corpus, split, described)
        for source in found:
            if not source.n_batches:
                logger.warning("%s: %d pairs fill no batch of %d", source.name, source.n_pairs, batching.n_pairs)
        return found
    if not any(source.n_pairs for source in found):
        raise SplitError(
            f"no {pairing.name} pair in corpus {corpus} ({described}); {kind.remedy}, or give it other pairs in "
            f"pairs.{corpus}"
        )
    most = max(found, key=lambda source: source.n_pairs)
    together = f" of {pairing.n_together} in each of as many recordings" if pairing.n_together > 1 else ""
    raise ConfigError(
        f"batch_size: a step takes {batching.n_pairs} pairs{together}, and no montage has so many, the most are "
        f"{most.n_pairs} of {most.name} ({described}); lower it or add recordings"
    )


def total_counts(found: Sequence[PairSource]) -> dict[str, int]:
    """Counts of all sources together."""
    total: Counter[str] = Counter()
    for source in found:
        total.update(source.counts)
    return {"n_pairs": 0, **total}


def _refuse_several(windows: pd.DataFrame, column: str) -> None:
    values = sorted(windows[column].unique()) if column in windows else []
    if len(values) > 1:
        raise ConfigError(f"pairs are made of windows of one {column}, these are of {', '.join(values)}; choose one")
