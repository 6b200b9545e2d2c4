"""Pairs of a training: which cuts they are of, the batches of a plan, and those of a validation."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain, count, zip_longest
from typing import NamedTuple

import pandas as pd

from eegfm.batch import WindowIndex
from eegfm.errors import ConfigError
from eegfm.store.stores import Stores
from eegfm.training.loading.groups import window_groups
from eegfm.training.pairings import PairConfig
from eegfm.training.plans.pairs.pair_plan import pair_sources
from eegfm.training.plans.pairs.source import Batching, PairSource
from eegfm.training.plans.plan import Draw

logger = logging.getLogger(__name__)

Pairings = Mapping[str, Sequence[PairConfig]]


class Validated(NamedTuple):
    """Micro-batches of a validation.

    Args:
        is_there: Whether there are any.
        draws: Gives them by corpus. The first call may read samples.
    """

    is_there: bool
    draws: Callable[[], dict[str, list[Draw]]]


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

    def sources(self, counts: Mapping[str, int], seed: int) -> dict[str, list[list[PairSource]]]:
        """Sources of the batches of a training, by corpus and pairing.

        Args:
            counts: Windows of each corpus in a step.
            seed: Seed of the training.

        Raises:
            ConfigError: A corpus has fewer pairs than a batch.
            SplitError: A corpus has no pair at all.
        """
        return {
            corpus: [self._of(corpus, pairing, Batching(n_windows // 2, seed)) for pairing in self._pairings[corpus]]
            for corpus, n_windows in counts.items()
        }

    def validation(self, counts: Mapping[str, int], n_windows: int, seed: int) -> Validated:
        """Batches of a validation, always the same: those of one pass, pairings and montages in turn.

        Batches are of at most a corpus' share of the windows for each of its pairings, so that none is left out. Fewer
        pairs make a smaller one.

        Args:
            counts: Windows of each corpus in a step of the training.
            n_windows: Largest number of windows of each corpus.
            seed: Seed of the training.
        """
        sources = {corpus: self._validated(corpus, min(n, n_windows), n_windows, seed) for corpus, n in counts.items()}
        every = (source for of_corpus in sources.values() for source in of_corpus)
        is_there = any(source.n_batches and 2 * source.batch_pairs <= n_windows for source in every)
        return Validated(is_there, partial(_drawn, sources, n_windows) if is_there else dict)

    def _validated(self, corpus: str, n_batch: int, n_windows: int, seed: int) -> list[PairSource]:
        """Sources of a corpus: the first one of each pairing, then the second one of each, and so on."""
        by_pairing: list[list[PairSource]] = []
        share = n_windows // len(self._pairings[corpus])
        for pairing in self._pairings[corpus]:
            n_most = min(n_batch, max(share, 2 * pairing.n_together))
            n_pairs = n_most // 2 // pairing.n_together * pairing.n_together
            if n_pairs:
                by_pairing.append(self._of(corpus, pairing, Batching(n_pairs, seed, may_shrink=True)))
        return [source for sources in zip_longest(*by_pairing) for source in sources if source is not None]

    def _of(self, corpus: str, pairing: PairConfig, batching: Batching) -> list[PairSource]:
        cut = pairing.cut or self._cut
        rows = self._rows if "cut" not in self._rows else self._rows[self._rows["cut"] == cut]
        return pair_sources(corpus, rows, self._groups[cut], self._stores, pairing, batching)


def check_classes(mixture: pd.DataFrame, cut: str, pairings: Pairings, phase: str) -> None:
    """Refuse pairs of windows without classes, for an objective that compares classes.

    Args:
        mixture: The rows to draw from.
        cut: The cut of pairings that name none.
        pairings: By corpus, its pairings.
        phase: Name of the phase, for messages.

    Raises:
        ConfigError: Windows of a pairing have fewer than two classes.
    """
    for corpus, pairing in ((corpus, pairing) for corpus, chosen in pairings.items() for pairing in chosen):
        name = pairing.cut or cut
        rows = mixture[(mixture["corpus"] == corpus) & (mixture["split"] == "train")]
        rows = rows[rows["cut"] == name] if "cut" in rows else rows
        classes = sorted(map(str, rows["label"].dropna().unique())) if "label" in rows else []
        if len(classes) < 2:
            raise ConfigError(
                f"{phase}.objective.positives is label, and training windows of cut {name!r} of corpus {corpus} have "
                f"{len(classes)} classes{f' ({classes[0]})' if classes else ''}, two are needed; name a cut with "
                f"classes in {phase}.pairs, such as {{name: {pairing.name}, cut: eyes}}, or set positives: partner"
            )


def _drawn(sources: Mapping[str, Sequence[PairSource]], n_windows: int) -> dict[str, list[Draw]]:
    """Batches of one pass of each corpus, at most ``n_windows`` windows of each.

    Raises:
        ConfigError: All windows are left out for their samples.
        StoreError: Samples differ from their checksums.
    """
    draws = {corpus: _in_turn(corpus, of_corpus, n_windows) for corpus, of_corpus in sources.items()}
    found = {corpus: of_corpus for corpus, of_corpus in draws.items() if of_corpus}
    if not found:
        raise ConfigError(
            "no pair to validate on is left without windows of a large spread; raise pairs.max_spread, or keep more "
            "persons for validation (split.validation_ratio)"
        )
    return found


def _in_turn(corpus: str, unread: Sequence[PairSource], n_windows: int) -> list[Draw]:
    sources = [source.usable() for source in unread]
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
