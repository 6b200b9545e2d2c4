"""Predictions of windows, and their means over the windows of a recording or a person.

Shapes: W windows, U recordings or persons, K outputs, C classes.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.linear import Floats, Ints
from eegfm.evaluation.scores.predictions import ScoredPredictions
from eegfm.metrics.scoring.answered import Output, outputs_of
from eegfm.targets import TargetSpec

Level = Literal["window", "recording", "person"]
LEVELS: tuple[Level, ...] = ("window", "recording", "person")


class Rows(NamedTuple):
    """Predictions to be scored.

    Args:
        probabilities: What is said of the N rows, see ``eegfm.targets``.
        truths: The true answers, see there.
        persons: (N,) person numbers.
    """

    probabilities: NDArray[Any]
    truths: NDArray[Any]
    persons: Ints


def at_level(predictions: ScoredPredictions, level: Level) -> Rows:
    """Return the predictions for windows, recordings or persons.

    Classes: the mean of the probabilities over the windows of a recording (or person) that have the same true class,
    output by output. Where the answer is one per recording (or person), this is one row for each. Where it changes
    within a recording, such as eyes open and closed, it is one row for each class that occurs there.

    Numbers: the mean prediction and the mean answer of the windows of a recording (or person).

    Args:
        predictions: Predictions for windows.
        level: Whether windows, recordings or persons are scored.
    """
    if level == "window":
        return Rows(predictions.probabilities, predictions.truths, predictions.person_numbers)
    is_person = level == "person"
    units = predictions.person_numbers if is_person else predictions.recording_numbers
    n_units = predictions.n_persons if is_person else predictions.n_recordings
    person_of_unit = np.zeros(n_units, dtype=np.int64)
    person_of_unit[units] = predictions.person_numbers
    outputs = outputs_of(predictions.target, predictions.probabilities, predictions.truths)
    if predictions.target.kind == "regression":
        numbers = [_means_of_numbers(output, units, n_units) for output in outputs]
        means, answers = (np.stack(columns, axis=1) for columns in zip(*numbers, strict=True))
        return Rows(means, answers, person_of_unit)
    classes = [_means_of_classes(output, units, n_units) for output in outputs]
    said, truths = (np.stack(columns, axis=1) for columns in zip(*classes, strict=True))
    n_classes = said.shape[-1]
    return Rows(*_shaped(predictions.target, said, truths), np.repeat(person_of_unit, n_classes))


def _means_of_numbers(output: Output, units: Ints, n_units: int) -> tuple[Floats, Floats]:
    """(U,) mean prediction and (U,) mean answer; NaN where no answer is known."""
    of_unit = units[output.rows]
    n_windows = np.bincount(of_unit, minlength=n_units)
    n_known = np.where(n_windows > 0, n_windows, np.nan)
    said, truths = (
        np.bincount(of_unit, values, minlength=n_units) / n_known
        for values in (output.probabilities[:, 0], output.truths)
    )
    return said, truths


def _means_of_classes(output: Output, units: Ints, n_units: int) -> tuple[Floats, Ints]:
    """(U C, C) mean probabilities and (U C,) class, -1 where a unit has no window of it: one row per unit and class."""
    n_classes = output.probabilities.shape[1]
    n_rows = n_units * n_classes
    row = units[output.rows] * n_classes + output.truths.astype(np.int64)
    n_windows = np.bincount(row, minlength=n_rows)
    sums = [np.bincount(row, column, minlength=n_rows) for column in output.probabilities.T]
    said = np.stack(sums, axis=1) / np.maximum(n_windows, 1)[:, None]
    return said, np.where(n_windows > 0, np.tile(np.arange(n_classes), n_units), -1)


def _shaped(target: TargetSpec, said: Floats, truths: Ints) -> tuple[Floats, NDArray[Any]]:
    """Give (N, K, C) probabilities and (N, K) classes the shapes of the target."""
    if target.kind == "multilabel":
        return said[..., 1], np.where(truths >= 0, truths, np.nan)
    return (said, truths) if target.kind == "multioutput" else (said[:, 0], truths[:, 0])
