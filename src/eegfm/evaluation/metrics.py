"""Scores from sums. Confusion matrices and sums of squares add up over windows and persons, so resamples are cheap."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.linear import Floats, Ints


def confusions_by_person(persons: Ints, n_persons: int, truth: Ints, predicted: Ints, n_classes: int) -> Ints:
    """(n_persons, K, K) windows counted by person, true class and predicted class."""
    cell = (persons * n_classes + truth) * n_classes + predicted
    counts = np.bincount(cell, minlength=n_persons * n_classes**2)
    return counts.reshape(n_persons, n_classes, n_classes).astype(np.int64)


def balanced_accuracy(confusions: NDArray[np.number]) -> Floats:
    """Mean recall over the classes that occur, (...) from confusions (..., K, K)."""
    counts = np.asarray(confusions, dtype=np.float64)
    totals = counts.sum(axis=-1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    occurs = totals > 0
    recalls = np.where(occurs, hits / np.where(occurs, totals, 1.0), 0.0)
    scores: Floats = recalls.sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)
    return scores


def hit_rate(sums: Floats) -> Floats:
    """Share of hits, (...) from sums (..., 2): of hits, or their probabilities, and of tries."""
    scores: Floats = sums[..., 0] / sums[..., 1]
    return scores


def number_sums(truth: Floats, predicted: Floats, persons: Ints, n_persons: int) -> Floats:
    """(n_persons, 8) sums over windows: one, y, y^2, p, p^2, y p, (y - p)^2, |y - p|.

    Both are counted from the mean answer, which changes no score and loses no digits.

    Args:
        truth: (W,) true numbers y.
        predicted: (W,) predicted numbers p.
        persons: (W,) person numbers.
        n_persons: Number of persons.
    """
    centre = truth.mean()
    y, p = truth - centre, predicted - centre
    columns = (np.ones_like(y), y, y**2, p, p**2, y * p, (y - p) ** 2, np.abs(y - p))
    return np.stack([np.bincount(persons, values, minlength=n_persons) for values in columns], axis=-1)


def r_squared(sums: Floats) -> Floats:
    """Explained share of the variance, (...) from sums (..., 8); NaN where the answers do not vary."""
    n, y, y2, *_, squares, _ = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        explained: Floats = 1 - squares / _spread(n, y, y2)
    return explained


def normalized_rmse(sums: Floats) -> Floats:
    """Root mean squared error over the standard deviation of the answers (ddof 0).

    Source: EEG Foundation Challenge 2025, start kit, local_scoring.py.
    """
    scores: Floats = np.sqrt(np.maximum(1 - r_squared(sums), 0.0))
    return scores


def pearson(sums: Floats) -> Floats:
    """Correlation of answers and predictions; 0 where all predictions are equal, NaN where the answers are."""
    n, y, y2, p, p2, yp, *_ = np.moveaxis(sums, -1, 0)
    of_truth, of_predicted = _spread(n, y, y2), _spread(n, p, p2)
    is_constant = ~(of_predicted > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        together = (yp - y * p / n) / np.sqrt(of_truth * np.where(is_constant, 1.0, of_predicted))
    scores: Floats = np.where(is_constant & ~np.isnan(of_truth), 0.0, np.clip(together, -1.0, 1.0))
    return scores


def mean_absolute_error(sums: Floats) -> Floats:
    """In the unit of the answers."""
    errors: Floats = sums[..., 7] / sums[..., 0]
    return errors


def _spread(n: Floats, total: Floats, squares: Floats) -> Floats:
    """Sum of squared deviations from the mean; NaN where it is no more than rounding."""
    deviations = squares - total**2 / n
    spread: Floats = np.where(deviations > 1e-12 * squares, deviations, np.nan)
    return spread


def paired_difference(
    first: Floats, second: Floats, persons: Sequence[str]
) -> dict[str, float | int | list[float] | dict[str, float]]:
    """Describe first minus second, person by person.

    Args:
        first: (P,) score of each person.
        second: (P,) score of the same persons under the control.
        persons: Names of the persons.
    """
    difference = first - second
    return {
        "mean": float(difference.mean()),
        "median": float(np.median(difference)),
        "range": [float(difference.min()), float(difference.max())],
        "n_persons_improved": int((difference > 0).sum()),
        "n_persons": len(difference),
        "per_person": dict(zip(persons, difference.tolist(), strict=True)),
    }
