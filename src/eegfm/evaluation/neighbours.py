"""Nearest training windows: a probe that is not linear.

Shapes: W training windows, G windows to predict, F features, L numbers of neighbours, K' score columns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.config import Distance
from eegfm.evaluation.linear import Floats, Ints, Rows, Standardizer, balanced_weights

_CELLS = 2**24
"""Distances that are held at once."""


def nearest_classes(features: NDArray[np.floating], classes: Ints, n_classes: int, distance: Distance) -> "Nearest":
    """Let the nearest windows vote for their classes. A vote weighs less the more windows its class has in training.

    Args:
        features: (W, F).
        classes: (W,) class numbers; every class occurs.
        n_classes: K. Two classes share one score: the second's share of the votes minus the first's.
        distance: Distance of standardised features.
    """
    weights = balanced_weights(classes, n_classes)
    votes = np.eye(n_classes)[classes]
    return Nearest(features, votes[:, 1:] - votes[:, :1] if n_classes == 2 else votes, weights, distance)


def nearest_numbers(features: NDArray[np.floating], targets: Floats, distance: Distance) -> "Nearest":
    """Predict the mean of the numbers of the nearest windows.

    Args:
        features: (W, F).
        targets: (W,) numbers.
        distance: Distance of standardised features.
    """
    return Nearest(features, targets[:, None], np.ones(len(targets)), distance)


class Nearest:
    """Weighted means of the values of the nearest training windows.

    Features are standardised by all training windows, also while some of them are left out.

    Args:
        features: (W, F).
        values: (W, K') what is averaged.
        weights: (W,) weight of each window in the mean.
        distance: Distance of standardised features. Windows without direction are equally far from all by cosine.
    """

    def __init__(self, features: NDArray[np.floating], values: Floats, weights: Floats, distance: Distance) -> None:
        self._standardizer, self._distance = Standardizer.fit(features), distance
        self._values, self._weights = values, weights
        self._x = self._prepared(features)

    def path(self, lambdas: tuple[float, ...]) -> "NearestPath":
        """Return the predictors, one for each number of neighbours."""
        return NearestPath(self, lambdas)

    def left_out(self, group: Rows, lambdas: tuple[float, ...]) -> Floats:
        """Return (L, G, K') scores of some of the windows by the nearest of all others."""
        return self._means(self._x[group], ~group, lambdas)

    def scores(self, features: NDArray[np.floating], numbers: tuple[float, ...]) -> Floats:
        """(L, G, K') scores of (G, F) features for each number of neighbours."""
        return self._means(self._prepared(features), np.ones(len(self._x), dtype=bool), numbers)

    def _prepared(self, features: NDArray[np.floating]) -> Floats:
        x = self._standardizer(features)
        if self._distance == "euclidean":
            return x
        return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float64).tiny))

    def _means(self, asked: Floats, known: Rows, numbers: tuple[float, ...]) -> Floats:
        x, values, weights = self._x[known], self._values[known], self._weights[known]
        counts = np.minimum(np.asarray(numbers, dtype=np.int64), len(x))
        n_most, step = int(counts.max()), max(_CELLS // len(x), 1)
        blocks = []
        for first in range(0, len(asked), step):
            # Half the squared distance, but for what is the same for all training windows. Unit vectors have one
            # length, so that this orders by cosine, too.
            far = 0.5 * (x**2).sum(axis=1) - asked[first : first + step] @ x.T
            nearest = np.argpartition(far, n_most - 1, axis=1)[:, :n_most]
            order = np.argsort(np.take_along_axis(far, nearest, axis=1), axis=1, kind="stable")
            nearest = np.take_along_axis(nearest, order, axis=1)
            totals = np.cumsum(weights[nearest], axis=1)
            sums = np.cumsum(weights[nearest][..., None] * values[nearest], axis=1)
            blocks.append((sums / totals[..., None])[:, counts - 1].swapaxes(0, 1))
        return np.concatenate(blocks, axis=1)


@dataclass(frozen=True)
class NearestPath:
    """One predictor per number of neighbours.

    Args:
        fit: The training windows.
        numbers: (L,) numbers of neighbours; no more than there are windows are looked at.
    """

    fit: Nearest
    numbers: tuple[float, ...]

    def scores(self, features: NDArray[np.floating]) -> Floats:
        """(L, G, K') scores of (G, F) features."""
        return self.fit.scores(features, self.numbers)
