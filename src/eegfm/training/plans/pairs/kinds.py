"""Kinds of pairs: which windows are matched, and which are no negatives of each other."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import ConfigError
from eegfm.store.reader import SignalStore
from eegfm.training.pairings import ConditionPairs, MovieMomentPairs, Pairing, TimeNeighbourPairs, ViewPairs
from eegfm.training.plans.pairs.matched import MatchedPairs
from eegfm.training.plans.pairs.matching import GroupMatching, Matching, SelfMatching
from eegfm.training.plans.pairs.neighbours import MAX_GAP, NeighbourMatching
from eegfm.training.plans.pairs.source import Batching, PairSource
from eegfm.training.plans.pairs.stratum import MISSING, Stratum
from eegfm.training.plans.permutation import Ints
from eegfm.training.plans.plan import Likeness


class Kind(ABC):
    """Base of the kinds whose pairs are matched and dealt out to batches.

    Args:
        config: Its configuration.
    """

    remedy = "cut more recordings, or choose other pairs"
    """Advice where there is no pair at all."""

    def __init__(self, config: Pairing) -> None:
        self.config = config

    def source(self, stratum: Stratum, store: SignalStore, batching: Batching) -> PairSource:
        """Batches of pairs of the stratum's windows.

        Raises:
            ConfigError: No two windows could ever be a pair.
        """
        unusable = self.unusable(stratum)
        for_nothing = np.zeros(len(stratum), dtype=bool)
        for which in unusable.values():
            for_nothing |= which
        usable, rate_hz = stratum.only(~for_nothing), store.rate_hz
        left_out = {name: int(which.sum()) for name, which in unusable.items()}
        counts = {"n_windows": len(stratum), **left_out}
        matching = self.matching(usable, rate_hz)
        likeness = replace(self.likeness(usable, rate_hz), pairing=self.config.name)
        return MatchedPairs(usable, matching, likeness, batching, counts)

    def unusable(self, stratum: Stratum) -> Mapping[str, NDArray[np.bool_]]:
        """(W,) windows that can be in no pair, by why: the name under which they are counted."""
        return {}

    @abstractmethod
    def matching(self, stratum: Stratum, rate_hz: float) -> Matching:
        """Matching of the usable windows.

        Raises:
            ConfigError: No two windows could ever be a pair.
        """

    @abstractmethod
    def likeness(self, stratum: Stratum, rate_hz: float) -> Likeness:
        """Windows that are no negatives of each other."""


class MovieMoments(Kind):
    """Windows of one moment of one movie; see ``MovieMomentPairs``."""

    config: MovieMomentPairs

    def unusable(self, stratum: Stratum) -> Mapping[str, NDArray[np.bool_]]:
        """Windows outside of a movie."""
        without_label = stratum.label == MISSING
        return {
            "n_windows_without_label": without_label,
            "n_windows_without_moment": (stratum.moment == MISSING) & ~without_label,
        }

    def matching(self, stratum: Stratum, rate_hz: float) -> Matching:
        """Across persons, by movie and moment."""
        moments = stratum.label * (int(stratum.moment.max(initial=0)) + 1) + stratum.moment
        return GroupMatching(_numbered(moments), stratum.person, "person")

    def likeness(self, stratum: Stratum, rate_hz: float) -> Likeness:
        """The moments whose windows overlap."""
        stride = int(stratum.stride.min(initial=stratum.n_samples))
        return Likeness(stratum.label, stratum.moment, (stratum.n_samples - 1) // stride)


class Conditions(Kind):
    """Windows of one label; see ``ConditionPairs``."""

    config: ConditionPairs

    def unusable(self, stratum: Stratum) -> Mapping[str, NDArray[np.bool_]]:
        """Windows without a label."""
        return {"n_windows_without_label": stratum.label == MISSING}

    def matching(self, stratum: Stratum, rate_hz: float) -> Matching:
        """Within each label."""
        group = _numbered(stratum.label)
        if self.config.across == "persons":
            return GroupMatching(group, stratum.person, "person")
        return GroupMatching(group, _stretches(group, stratum), "stretch")

    def likeness(self, stratum: Stratum, rate_hz: float) -> Likeness:
        """The windows of one label."""
        return Likeness(stratum.label, np.zeros_like(stratum.label), 0)


class TimeNeighbours(Kind):
    """Windows of one segment that begin shortly after one another; see ``TimeNeighbourPairs``."""

    config: TimeNeighbourPairs
    remedy = "raise max_gap_s, cut windows of a shorter stride, or choose other pairs"

    def matching(self, stratum: Stratum, rate_hz: float) -> Matching:
        """Within each segment."""
        max_gap, max_gap_s = self._max_gap(rate_hz), self.config.max_gap_s
        if max_gap < stratum.n_samples and not self.config.allow_overlap:
            raise ConfigError(
                f"max_gap_s {max_gap_s:g} leaves no pair of windows of {stratum.n_samples / rate_hz:g} s "
                f"({stratum.name}) that do not overlap; raise it to a window or more, or set allow_overlap"
            )
        min_gap = 1 if self.config.allow_overlap else stratum.n_samples
        return NeighbourMatching(stratum.segments(), stratum.start, min_gap, max_gap)

    def likeness(self, stratum: Stratum, rate_hz: float) -> Likeness:
        """The windows of one recording that begin within the gap."""
        return Likeness(stratum.recording, stratum.start, self._max_gap(rate_hz))

    def _max_gap(self, rate_hz: float) -> int:
        return int(min(np.floor(self.config.max_gap_s * rate_hz + 1e-6), MAX_GAP))


class Views(Kind):
    """Each window twice; see ``ViewPairs``."""

    config: ViewPairs
    remedy = "cut more recordings"

    def matching(self, stratum: Stratum, rate_hz: float) -> Matching:
        """Each window with itself."""
        return SelfMatching(len(stratum))

    def likeness(self, stratum: Stratum, rate_hz: float) -> Likeness:
        """The windows of one recording that share samples."""
        return Likeness(stratum.recording, stratum.start, stratum.n_samples - 1)


def _numbered(values: Ints) -> Ints:
    """The same groups, numbered from 0 without gaps."""
    numbers: Ints = np.unique(values, return_inverse=True)[1]
    return numbers


def _stretches(group: Ints, stratum: Stratum) -> Ints:
    """Number of the stretch of overlapping windows of one group and recording that each window is in."""
    # Windows are in order of recording and start already.
    order = np.argsort(group, kind="stable")
    is_new = np.diff(group[order], prepend=-1) != 0
    is_new |= np.diff(stratum.recording[order], prepend=-1) != 0
    is_new |= np.diff(stratum.start[order], prepend=0) >= stratum.n_samples
    stretch = np.empty(len(order), dtype=np.int64)
    stretch[order] = np.cumsum(is_new) - 1
    return stretch
