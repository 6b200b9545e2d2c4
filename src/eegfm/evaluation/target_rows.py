"""Closed-form probes of every kind of answer, as models of that kind speak: in probabilities, or numbers.

Shapes: W windows, T test windows, F features, K outputs, C classes; those of answers are in ``eegfm.targets``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from eegfm.errors import SplitError
from eegfm.evaluation.answers import Answers, ClassAnswers, NumberAnswers
from eegfm.evaluation.config import FitParams
from eegfm.evaluation.crossval import PredictedRows, predict_rows, refuse_shared_persons
from eegfm.evaluation.linear import Floats, Ints, Rows
from eegfm.evaluation.penalty import refuse_indivisible
from eegfm.targets import TargetSpec


def predict_targets(
    features: NDArray[np.floating],
    truths: NDArray[Any],
    spec: TargetSpec,
    persons: Ints,
    train: Rows,
    test: Rows,
    params: FitParams,
) -> tuple[NDArray[np.float32], list[Mapping[str, float]]]:
    """Fit a closed-form probe to some windows and predict the answers of others, output by output.

    Windows whose answer is unknown are not trained on. An output of ``multilabel`` or ``multioutput`` of which training
    windows have one class only is predicted to have it.

    Probabilities of ridge are not calibrated: its targets are plus and minus one, and the logistic function (softmax,
    for more classes) has the slope there that the scores have. They rank as scores do. Those of logistic regression and
    of nearest windows are for classes that are equally frequent. Without features they are the shares of the classes.

    Args:
        features: (W, F), (W, L, F) of several layers, or (W, 0); see ``predict_rows``.
        truths: (W, ...) true answers in the shape of ``eegfm.targets``.
        spec: The answer that is asked for.
        persons: (W,) person numbers.
        train: (W,) True for the training windows.
        test: (W,) True for the windows to predict.
        params: Method, and what is chosen from.

    Returns:
        (T, ...) float32 probabilities, or numbers, in the shape of ``eegfm.targets``, and what was chosen for each
        output.

    Raises:
        SplitError: A person is in both, a class or every answer to an output is missing in training, or training
            persons are too few to choose on.
    """
    return _Division(features, persons, train, test, params).answers(truths, spec)


def check_targets(
    truths: NDArray[Any], spec: TargetSpec, persons: Ints, train: Rows, test: Rows, params: FitParams, key: str
) -> None:
    """Refuse windows that ``predict_targets`` would refuse, before there are features.

    Args:
        truths: See there, like all that follow.
        spec: See there.
        persons: See there.
        train: See there.
        test: See there.
        params: See there.
        key: Name of the parameters that hold the choices, for messages.

    Raises:
        SplitError: See there.
    """
    _Ahead(np.zeros((len(persons), 0)), persons, train, test, params, key).answers(truths, spec)


def class_probabilities(columns: Floats, params: FitParams, *, has_features: bool) -> Floats:
    """(T, C) probabilities from (T, K') scores of classes; see ``predict_targets``."""
    is_binary = columns.shape[1] == 1
    if params.method == "knn" or not has_features:  # shares; of two, by how much the second is larger
        return np.concatenate([1 - columns, 1 + columns], axis=1) / 2 if is_binary else columns
    if is_binary:
        second = expit(2.0 * columns if params.method == "ridge" else columns)
        return np.concatenate([1 - second, second], axis=1)
    # Where two classes had a ridge score each, one would be minus the other: their difference is twice the score.
    return np.asarray(softmax(columns, axis=1))


@dataclass(frozen=True)
class _Division:
    """Features of windows, and which are trained on and predicted; see ``predict_targets``."""

    features: NDArray[np.floating]
    persons: Ints
    train: Rows
    test: Rows
    params: FitParams

    def answers(self, truths: NDArray[Any], spec: TargetSpec) -> tuple[NDArray[np.float32], list[Mapping[str, float]]]:
        """Return what ``predict_targets`` returns."""
        refuse_shared_persons(self.persons, self.train, self.test)
        if spec.kind in ("binary", "multiclass"):
            probabilities, chosen = self.classes(truths, spec.classes)
            return probabilities.astype(np.float32), [chosen]
        if spec.kind == "regression":
            found = [self.numbers(column) for column in truths.reshape(len(truths), -1).T]
        elif spec.kind == "multioutput":
            columns = zip(spec.outputs, truths.T, strict=True)
            found = [self.present_classes(column, spec.classes, name) for name, column in columns]
        else:
            assert spec.kind == "multilabel", "unlabelled windows are not asked"
            numbers = np.where(np.isnan(truths), -1, truths).astype(np.int64)
            columns = zip(spec.outputs, numbers.T, strict=True)
            both = [self.present_classes(column, ("no", "yes"), name) for name, column in columns]
            found = [(probabilities[:, 1], chosen) for probabilities, chosen in both]
        return np.stack([values for values, _ in found], axis=1).astype(np.float32), [chosen for _, chosen in found]

    def numbers(self, numbers: Floats) -> tuple[Floats, Mapping[str, float]]:
        """(T,) numbers."""
        known = self.train & ~np.isnan(numbers)
        _refuse_nothing_known(known, "the target")
        found = self._rows(NumberAnswers(np.asarray(numbers, dtype=np.float64), is_of_person=False), known)
        return found.scores, found.chosen

    def classes(self, numbers: Ints, classes: tuple[str, ...]) -> tuple[Floats, Mapping[str, float]]:
        """(T, C) probabilities."""
        found = self._rows(ClassAnswers(numbers, classes), self.train & (numbers >= 0))
        return class_probabilities(found.columns, self.params, has_features=self.features.shape[-1] > 0), found.chosen

    def present_classes(
        self, numbers: Ints, classes: tuple[str, ...], output: str
    ) -> tuple[Floats, Mapping[str, float]]:
        """(T, C) probabilities, zero for classes that no training window has."""
        known = self.train & (numbers >= 0)
        _refuse_nothing_known(known, f"output {output!r}")
        present = np.unique(numbers[known])
        probabilities = np.zeros((int(self.test.sum()), len(classes)))
        if len(present) == 1:
            probabilities[:, present[0]] = 1.0
            return probabilities, {}
        is_present = np.isin(numbers, present)
        of_present = np.where(is_present, np.searchsorted(present, np.where(is_present, numbers, present[0])), -1)
        names = tuple(classes[number] for number in present)
        probabilities[:, present], chosen = self.classes(of_present, names)
        return probabilities, chosen

    def _rows(self, answers: Answers, known: Rows) -> PredictedRows:
        return predict_rows(self.features, answers, self.persons, known, self.test, self.params)


@dataclass(frozen=True)
class _Ahead(_Division):
    """The same without features: only what can be refused before there are some."""

    key: str

    def _rows(self, answers: Answers, known: Rows) -> PredictedRows:
        found = super()._rows(answers, known)
        refuse_indivisible(answers.at(known), self.persons[known], self.params, self.key)
        return found


def _refuse_nothing_known(known: Rows, what: str) -> None:
    if not known.any():
        raise SplitError(f"no training window has an answer to {what}; train on more persons, or leave it out")
