"""Scores from sums. Confusion matrices and sums of squares add up over windows and persons, so resamples are cheap."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.linear import Floats, Ints
from eegfm.metrics.scoring import numbers
from eegfm.metrics.scoring.confusions import Confusions
from eegfm.metrics.scoring.numbers import Numbers

number_sums = numbers.number_sums
"""Sums of windows that numbers are scored by, as in a training."""


def confusions_by_person(persons: Ints, n_persons: int, truth: Ints, predicted: Ints, n_classes: int) -> Ints:
    """(n_persons, K, K) windows counted by person, true class and predicted class."""
    cell = (persons * n_classes + truth) * n_classes + predicted
    counts = np.bincount(cell, minlength=n_persons * n_classes**2)
    return counts.reshape(n_persons, n_classes, n_classes).astype(np.int64)


def balanced_accuracy(confusions: NDArray[np.number]) -> Floats:
    """Mean recall over the classes that occur, (...) from confusions (..., K, K); 0 without a window."""
    counts = np.asarray(confusions, dtype=np.float64)
    return np.nan_to_num(Confusions(counts[..., None, :, :], "multiclass").balanced_accuracy())


def hit_rate(sums: Floats) -> Floats:
    """Share of hits, (...) from sums (..., 2): of hits, or their probabilities, and of tries."""
    scores: Floats = sums[..., 0] / sums[..., 1]
    return scores


def r_squared(sums: Floats) -> Floats:
    """Explained share of the variance, (...) from sums (..., 8); NaN where the answers do not vary."""
    return _numbers(sums).r2()


def normalized_rmse(sums: Floats) -> Floats:
    """Root mean squared error over the standard deviation of the answers (ddof 0); NaN where they do not vary."""
    return _numbers(sums).nrmse()


def pearson(sums: Floats) -> Floats:
    """Correlation of answers and predictions; 0 where all predictions are equal, NaN where the answers are."""
    found = _numbers(sums)
    return np.where(found.vary[..., 0], np.nan_to_num(found.pearson()), np.nan)


def mean_absolute_error(sums: Floats) -> Floats:
    """In the unit of the answers."""
    return _numbers(sums).mae()


def _numbers(sums: Floats) -> Numbers:
    """Sums of one output."""
    return Numbers(sums[..., None, :])


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
