"""Scores from counts. Confusion matrices add up over windows and persons, so scores and resamples are cheap."""

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
