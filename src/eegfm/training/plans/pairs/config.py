"""Configurations of contrastive pairs: which windows should have similar representations."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eegfm.config import StrictModel
from eegfm.errors import ConfigError
from eegfm.training.plans.pairs.matching import GroupMatching, Matching
from eegfm.training.plans.pairs.neighbours import NeighbourMatching
from eegfm.training.plans.pairs.stratum import MISSING, Stratum
from eegfm.training.plans.plan import Likeness
from eegfm.windows.cutters.base import Seconds
from eegfm.windows.runs import NO_MOMENT, Ints
from eegfm.windows.spans import MAX_SAMPLE


class Pairing(StrictModel, ABC):
    """Base of the kinds of pairs."""

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


class MovieMomentPairs(Pairing):
    """Windows of one moment of one movie, seen by two persons.

    No negatives of each other are windows of the same moment, and where windows are longer than their stride those of
    moments that overlap, which show partly the same.
    """

    name: Literal["movie_moment"] = "movie_moment"

    def unusable(self, stratum: Stratum) -> Mapping[str, NDArray[np.bool_]]:
        """Windows outside of a movie."""
        without_label = stratum.label == MISSING
        return {
            "n_windows_without_label": without_label,
            "n_windows_without_moment": (stratum.moment == NO_MOMENT) & ~without_label,
        }

    def matching(self, stratum: Stratum, rate_hz: float) -> Matching:
        """Across persons, by movie and moment."""
        moments = stratum.label * (int(stratum.moment.max(initial=0)) + 1) + stratum.moment
        return GroupMatching(_numbered(moments), stratum.person, "person")

    def likeness(self, stratum: Stratum, rate_hz: float) -> Likeness:
        """The moments whose windows overlap."""
        stride = int(stratum.stride.min(initial=stratum.n_samples))
        return Likeness(stratum.label, stratum.moment, (stratum.n_samples - 1) // stride)


class ConditionPairs(Pairing):
    """Windows of one label: eyes open or closed, with or without background, rest or arithmetic.

    Attributes:
        across: ``persons`` pairs windows of two persons; ``any`` pairs all windows of one label, be they of one person
            or of two, unless both are of one stretch of overlapping windows: they could show the same samples.
    """

    name: Literal["condition"] = "condition"
    across: Literal["persons", "any"] = "persons"

    def unusable(self, stratum: Stratum) -> Mapping[str, NDArray[np.bool_]]:
        """Windows without a label."""
        return {"n_windows_without_label": stratum.label == MISSING}

    def matching(self, stratum: Stratum, rate_hz: float) -> Matching:
        """Within each label."""
        group = _numbered(stratum.label)
        if self.across == "persons":
            return GroupMatching(group, stratum.person, "person")
        return GroupMatching(group, _stretches(group, stratum), "stretch")

    def likeness(self, stratum: Stratum, rate_hz: float) -> Likeness:
        """The windows of one label."""
        return Likeness(stratum.label, np.zeros_like(stratum.label), 0)


class TimeNeighbourPairs(Pairing):
    """Windows of one segment that begin shortly after one another; the later one is the positive.

    No negatives of each other are the windows of one recording that begin as near each other.

    Attributes:
        max_gap_s: From the start of one window to the start of the other, at most.
        allow_overlap: Whether the two may share samples.
    """

    name: Literal["time_neighbours"] = "time_neighbours"
    max_gap_s: Seconds
    allow_overlap: bool = False

    def matching(self, stratum: Stratum, rate_hz: float) -> Matching:
        """Within each segment."""
        max_gap = self._max_gap(rate_hz)
        if max_gap < stratum.n_samples and not self.allow_overlap:
            raise ConfigError(
                f"max_gap_s {self.max_gap_s:g} leaves no pair of windows of {stratum.n_samples / rate_hz:g} s "
                f"({stratum.name}) that do not overlap; raise it to a window or more, or set allow_overlap"
            )
        is_first = np.diff(stratum.recording, prepend=-1) != 0
        is_first |= np.diff(stratum.segment, prepend=-1) != 0
        min_gap = 1 if self.allow_overlap else stratum.n_samples
        return NeighbourMatching(np.cumsum(is_first) - 1, stratum.start, min_gap, max_gap)

    def likeness(self, stratum: Stratum, rate_hz: float) -> Likeness:
        """The windows of one recording that begin within the gap."""
        return Likeness(stratum.recording, stratum.start, self._max_gap(rate_hz))

    def _max_gap(self, rate_hz: float) -> int:
        # Half of what positions can be: their sum stays one.
        return int(min(np.floor(self.max_gap_s * rate_hz + 1e-6), MAX_SAMPLE // 2))


PairConfig = Annotated[MovieMomentPairs | ConditionPairs | TimeNeighbourPairs, Field(discriminator="name")]
"""Union of the pairings: windows with similar representations."""


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
