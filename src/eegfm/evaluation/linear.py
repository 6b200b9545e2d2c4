"""Shared parts of the closed-form probes: standardised features, balanced weights, one predictor per penalty.

Shapes: W windows, F features, K classes, L penalties, K' = 1 score column for two classes, K otherwise.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Standardizer:
    """Mean and inverse standard deviation of the training windows, feature by feature.

    An unknown feature (NaN, because its channel is bad in this recording) becomes the mean of the training windows that
    have it. It then favours no class.
    """

    mean: Floats
    inverse_scale: Floats

    @classmethod
    def fit(cls, features: NDArray[np.floating]) -> "Standardizer":
        """Learn from (W, F) features. A feature that is constant in training has no effect afterwards."""
        values = np.asarray(features, dtype=np.float64)
        mean, scale = _mean_and_sd(values)
        varies = scale > 1e-9 * np.abs(mean) + 1e-30
        return cls(mean, np.where(varies, 1.0 / np.where(varies, scale, 1.0), 0.0))

    def __call__(self, features: NDArray[np.floating]) -> Floats:
        """Standardise (W, F) features."""
        values = (np.asarray(features, dtype=np.float64) - self.mean) * self.inverse_scale
        return np.where(np.isnan(values), 0.0, values)


def _mean_and_sd(values: Floats) -> tuple[Floats, Floats]:
    """(F,) mean and deviation over the windows with a known feature; zero if no window has it."""
    is_known = ~np.isnan(values)
    if is_known.all():
        return values.mean(axis=0), values.std(axis=0)
    n_known = np.maximum(is_known.sum(axis=0), 1)
    mean = np.where(is_known, values, 0.0).sum(axis=0) / n_known
    squares = np.where(is_known, values - mean, 0.0) ** 2
    return mean, np.sqrt(squares.sum(axis=0) / n_known)


@dataclass(frozen=True)
class LinearPath:
    """One linear predictor per penalty.

    Args:
        standardizer: Standardizer of the features.
        coef: (L, F, K').
        intercept: (L, K').
    """

    standardizer: Standardizer
    coef: Floats
    intercept: Floats

    def scores(self, features: NDArray[np.floating]) -> Floats:
        """(L, W, K') scores of (W, F) features."""
        standardized = self.standardizer(features)
        return np.stack([standardized @ c + i for c, i in zip(self.coef, self.intercept, strict=True)])


class Path(Protocol):
    """One predictor per penalty, or per number of neighbours."""

    def scores(self, features: NDArray[np.floating]) -> Floats:
        """(L, W, K') scores of (W, F) features."""
        ...


class Fit(Protocol):
    """Training windows that a probe is fitted to, for any penalty, with all windows or without some."""

    def path(self, lambdas: tuple[float, ...]) -> Path:
        """Return the predictors of all windows, one for each penalty."""
        ...

    def left_out(self, group: Rows, lambdas: tuple[float, ...]) -> Floats:
        """Return (L, G, K') scores of the G windows where ``group`` (W,) is True, by the fits to all others."""
        ...


def balanced_weights(classes: Ints, n_classes: int) -> Floats:
    """(W,) weights that give every class the same total and sum to W."""
    counts = np.bincount(classes, minlength=n_classes)
    assert (counts > 0).all(), "every class occurs in training"
    return len(classes) / (n_classes * counts[classes].astype(np.float64))


def decide(scores: Floats) -> Ints:
    """Class numbers (...) from scores (..., K')."""
    classes = scores[..., 0] > 0 if scores.shape[-1] == 1 else scores.argmax(axis=-1)
    return np.asarray(classes, dtype=np.int64)
