"""Movie moments that are found again in persons who were never seen: features at a moment against those of others.

Shapes: W windows, F features, M moments of one viewing, K candidates.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from eegfm.evaluation.answers import Measure, Scored
from eegfm.evaluation.crossval import HeldOut
from eegfm.evaluation.linear import Floats, Ints
from eegfm.evaluation.metrics import hit_rate
from eegfm.metrics.moments import retrieval_hits

_ROUNDING = 1e-12
"""Variance, relative to the mean square, that is left of a constant feature."""


@dataclass(frozen=True)
class Moments:
    """Windows of movies.

    Args:
        persons: (W,) number of the person who watched, from 0 without gaps.
        viewings: (W,) number of the viewing: of a movie in a recording.
        movies: (W,) number of the movie.
        moments: (W,) number of the moment of the movie; a viewing has each once.
        reach: Moments whose numbers differ by no more than this share samples, and are never told apart.
    """

    persons: Ints
    viewings: Ints
    movies: Ints
    moments: Ints
    reach: int

    @property
    def cells(self) -> Ints:
        """(W,) number of each moment of a movie, from 0 without gaps."""
        pairs = np.stack([self.movies, self.moments], axis=1)
        found: Ints = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
        return found

    def of_others(self) -> NDArray[np.bool_]:
        """(W,) whether another person has a window of the same moment."""
        cell_and_person = np.unique(np.stack([self.cells, self.persons], axis=1), axis=0)
        found: NDArray[np.bool_] = (np.bincount(cell_and_person[:, 0]) > 1)[self.cells]
        return found

    def shown(self) -> Iterator[Ints]:
        """By viewing, the windows at moments that another person has, too."""
        has_other = self.of_others()
        for viewing in np.unique(self.viewings):
            yield np.flatnonzero((self.viewings == viewing) & has_other)

    def apart(self, windows: Ints) -> NDArray[np.bool_]:
        """(M, M) whether the moments of two windows of a viewing share no sample."""
        own = self.moments[windows]
        found: NDArray[np.bool_] = np.abs(own[:, None] - own[None, :]) > self.reach
        return found

    def counted(self, n_candidates: int) -> NDArray[np.bool_]:
        """(W,) windows with K - 1 other moments of the same viewing to be told from."""
        counts = np.zeros(len(self.persons), dtype=bool)
        for windows in self.shown():
            counts[windows] = self.apart(windows).sum(axis=1) >= n_candidates - 1
        return counts

    def at(self, chosen: NDArray[np.bool_]) -> "Moments":
        """Some of the windows, all of some persons."""
        persons: Ints = np.unique(self.persons[chosen], return_inverse=True)[1]
        return Moments(persons, self.viewings[chosen], self.movies[chosen], self.moments[chosen], self.reach)


@dataclass(frozen=True)
class MomentAnswers(Scored):
    """The moment of a movie that each window shows.

    Args:
        moments: Who saw what.
        n_candidates: Moments to choose from.
    """

    moments: Moments
    n_candidates: int

    measures: ClassVar[Mapping[str, Measure]] = {"top1": hit_rate}
    measure_per_person: ClassVar[str] = "top1"
    is_error: ClassVar[bool] = False

    def sums(self, predicted: NDArray[Any], persons: Ints, n_persons: int) -> Floats:
        """(P, 2); what is predicted are hits."""
        counts = ~np.isnan(predicted)
        hits = np.where(counts, predicted, 0.0)
        return np.stack([np.bincount(persons, values, minlength=n_persons) for values in (hits, counts)], axis=-1)

    def retrieve(self, features: NDArray[np.floating]) -> HeldOut:
        """Hits of all windows; see ``moment_hits``."""
        hits = moment_hits(features, self.moments, self.n_candidates)
        return HeldOut(hits, hits, {})


def moment_hits(features: NDArray[np.floating], moments: Moments, n_candidates: int) -> Floats:
    """Probability that each window finds its moment among K moments of the same movie, as others saw it.

    A candidate is the mean over the windows of all other persons at that moment. Window and candidates are standardised
    by the windows of these others, and compared by cosine similarity. Nothing of the person but the window itself is
    looked at. The other K - 1 moments are drawn from those that the person has; see ``retrieval_hits``.

    Args:
        features: (W, F); NaN for unknown features, which count as the mean.
        moments: Who saw what.
        n_candidates: K.

    Returns:
        (W,), NaN for windows that do not count; see ``Moments.counted``.
    """
    hits = np.full(len(features), np.nan)
    sums = _Sums(features, moments)
    by_person: dict[int, list[Ints]] = {}
    for windows in moments.shown():
        if len(windows):
            by_person.setdefault(int(moments.persons[windows[0]]), []).append(windows)
    for person, viewings in by_person.items():
        without = sums.without(np.flatnonzero(moments.persons == person))
        for windows in viewings:
            queries, candidates = without.standardised(windows)
            allowed = torch.from_numpy(moments.apart(windows))
            found = retrieval_hits(
                torch.from_numpy(queries), torch.from_numpy(candidates), n_candidates, allowed=allowed
            )
            hits[windows] = np.where(found.counts.numpy(), found.found.numpy(), np.nan)
    return hits


class _Sums:
    """Sums over the windows of each moment, from which those of one person are taken off again.

    Args:
        features: (W, F).
        moments: Who saw what.
    """

    def __init__(self, features: NDArray[np.floating], moments: Moments) -> None:
        values = np.asarray(features, dtype=np.float64)
        self.is_known = ~np.isnan(values)
        n_known = np.maximum(self.is_known.sum(axis=0), 1)
        values = np.where(self.is_known, values, 0.0)
        # Centred, so that differences of sums lose no digits.
        self.values = np.where(self.is_known, values - values.sum(axis=0) / n_known, 0.0)
        self.cells = moments.cells
        everyone = np.arange(len(values))
        self.of_cells, self.n_of_cells = self._by_cell(everyone)
        self.squares = (self.values**2).sum(axis=0)

    def _by_cell(self, windows: Ints) -> tuple[Floats, Floats]:
        """(M, F) sums, and numbers of known features, of all moments."""
        n_cells = int(self.cells.max()) + 1
        totals, n_known = np.zeros((n_cells, self.values.shape[1])), np.zeros((n_cells, self.values.shape[1]))
        order = windows[np.argsort(self.cells[windows], kind="stable")]
        present, first = np.unique(self.cells[order], return_index=True)
        totals[present] = np.add.reduceat(self.values[order], first, axis=0)
        n_known[present] = np.add.reduceat(self.is_known[order].astype(np.float64), first, axis=0)
        return totals, n_known

    def without(self, windows: Ints) -> "_Others":
        """Take the windows of a person off the sums."""
        totals, n_known = self._by_cell(windows)
        totals, n_known = self.of_cells - totals, self.n_of_cells - n_known
        n = np.maximum(n_known.sum(axis=0), 1)
        mean = totals.sum(axis=0) / n
        square = (self.squares - (self.values[windows] ** 2).sum(axis=0)) / n
        variance = square - mean**2
        varies = variance > _ROUNDING * self.squares / len(self.values)
        inverse_sd = np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
        return _Others(self, totals, n_known, mean, inverse_sd)


@dataclass(frozen=True)
class _Others:
    """All windows but those of a person: sums of their moments, and their mean and spread."""

    everyone: _Sums
    totals: Floats
    n_known: Floats
    mean: Floats
    inverse_sd: Floats

    def standardised(self, windows: Ints) -> tuple[Floats, Floats]:
        """(M, F) windows of the person, and the means of the others at their moments."""
        cells, n_known = self.everyone.cells[windows], self.n_known[self.everyone.cells[windows]]
        means = self.totals[cells] / np.maximum(n_known, 1)
        queries = np.where(self.everyone.is_known[windows], self.everyone.values[windows] - self.mean, 0.0)
        candidates = np.where(n_known > 0, means - self.mean, 0.0)
        return queries * self.inverse_sd, candidates * self.inverse_sd
