"""Pairs of a training: which cuts they are of, the batches of a plan, and those of a validation."""

import logging
from collections.abc import Mapping, Sequence
from itertools import chain, count

import pandas as pd

from eegfm.batch import WindowIndex
from eegfm.store.stores import Stores
from eegfm.training.loading.groups import window_groups
from eegfm.training.pairings import PairConfig
from eegfm.training.plans.pairs.pair_plan import pair_sources
from eegfm.training.plans.pairs.source import Batching, PairSource
from eegfm.training.plans.plan import Draw

logger = logging.getLogger(__name__)

Pairings = Mapping[str, Sequence[PairConfig]]


class PairWindows:
    """Windows of one split that pairs are made of.

    Args:
        mixture: The rows to draw from, of all cuts that the pairings name.
        cut: The cut of pairings that name none.
        stores: Stores by corpus.
        split: ``train`` or ``validation``.
        pairings: By corpus, its pairings.
    """

    def __init__(self, mixture: pd.DataFrame, cut: str, stores: Stores, split: str, pairings: Pairings) -> None:
        self._rows = mixture[mixture["split"] == split]
        self._cut, self._stores, self._pairings = cut, stores, pairings
        cuts = sorted({pairing.cut or cut for pairing in chain(*pairings.values())})
        self._groups = {name: window_groups(mixture, stores, split, name) for name in cuts}

    @property
    def groups(self) -> dict[str, list[WindowIndex]]:
        """By corpus, the windows of all cuts that one of its pairings names."""
        found: dict[str, list[WindowIndex]] = {}
        for corpus, pairings in sorted(self._pairings.items()):
            for cut in dict.fromkeys(pairing.cut or self._cut for pairing in pairings):
                found.setdefault(corpus, []).extend(self._groups[cut].get(corpus, ()))
        return {corpus: groups for corpus, groups in found.items() if groups}

    def sources(self, counts: Mapping[str, int], seed: int) -> dict[str, list[PairSource]]:
        """Sources of the batches of a training.

        Args:
            counts: Windows of each corpus in a step.
            seed: Seed of the training.

        Raises:
            ConfigError: A corpus has fewer pairs than a batch.
            SplitError: A corpus has no pair at all.
        """
        return {
            corpus: [
                source
                for pairing in self._pairings[corpus]
                for source in self._of(corpus, pairing, Batching(n_windows // 2, seed))
            ]
            for corpus, n_windows in counts.items()
        }

    def validation(self, counts: Mapping[str, int], n_windows: int, seed: int) -> dict[str, list[Draw]]:
        """Batches of a validation, always the same: those of one pass, pairings and montages in turn.

        Fewer pairs than a batch make a smaller one.

        Args:
            counts: Windows of each corpus in a step of the training.
            n_windows: Largest number of windows of each corpus.
            seed: Seed of the training.
        """
        draws = {corpus: self._validation(corpus, min(n, n_windows), n_windows, seed) for corpus, n in counts.items()}
        return {corpus: found for corpus, found in draws.items() if found}

    def _validation(self, corpus: str, n_batch: int, n_windows: int, seed: int) -> list[Draw]:
        sources: list[PairSource] = []
        for pairing in self._pairings[corpus]:
            n_pairs = n_batch // 2 // pairing.n_together * pairing.n_together
            if n_pairs:
                sources += self._of(corpus, pairing, Batching(n_pairs, seed, may_shrink=True))
        draws: list[Draw] = []
        shown: set[int] = set()
        n_left = n_windows
        for turn in count():
            fitting = [k for k, source in enumerate(sources) if turn < source.n_batches]
            if not any(2 * sources[k].batch_pairs <= n_left for k in fitting):
                break
            for k in fitting:
                if 2 * sources[k].batch_pairs <= n_left:
                    draws.append(sources[k].draw(0, turn))
                    n_left -= 2 * sources[k].batch_pairs
                    shown.add(k)
        if not draws:
            logger.info("%s: no pair to validate on", corpus)
        elif len(shown) < len(sources):
            logger.info("%s: %d of %d kinds of pairs are validated on", corpus, len(shown), len(sources))
        return draws

    def _of(self, corpus: str, pairing: PairConfig, batching: Batching) -> list[PairSource]:
        cut = pairing.cut or self._cut
        rows = self._rows if "cut" not in self._rows else self._rows[self._rows["cut"] == cut]
        return pair_sources(corpus, rows, self._groups[cut], self._stores, pairing, batching)
