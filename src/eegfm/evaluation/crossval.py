"""Predict every person from the others; the penalty is chosen on the training persons alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.linear import FitPath, Floats, Ints, decide
from eegfm.evaluation.logistic import fit_logistic
from eegfm.evaluation.metrics import balanced_accuracy, confusions_by_person
from eegfm.evaluation.ridge import fit_ridge_classifier

_METHODS: dict[str, FitPath] = {"ridge": fit_ridge_classifier, "logistic": fit_logistic}


@dataclass(frozen=True)
class HeldOut:
    """Predictions for windows of persons that took no part in the fit.

    Args:
        predicted: (W,) class numbers.
        scores: (W,) score of the second class of two, or of the predicted class of more.
        lambdas: Chosen penalty of each fold.
    """

    predicted: Ints
    scores: Floats
    lambdas: tuple[float, ...]


def predict_held_out(
    features: NDArray[np.floating], classes: Ints, persons: Ints, n_classes: int, params: ProbeParams
) -> HeldOut:
    """Cross-validate over persons.

    Args:
        features: (W, F).
        classes: (W,) class numbers.
        persons: (W,) person numbers, 0 to P - 1 in a stable order.
        n_classes: K.
        params: Method, penalties and folds.

    Raises:
        SplitError: There are too few persons, or a fold's training persons lack a class.
    """
    n_persons = int(persons.max()) + 1
    n_folds = n_persons if params.folds == "leave_one_person_out" else params.folds
    fold_of = person_folds(n_persons, n_folds)[persons]
    predicted, scores = np.full(len(classes), -1, dtype=np.int64), np.full(len(classes), np.nan)
    lambdas = []
    for fold in range(n_folds):
        train, test = fold_of != fold, fold_of == fold
        _refuse_missing_class(classes[train], n_classes, fold, n_folds)
        penalty = choose_lambda(features[train], classes[train], persons[train], n_classes, params)
        path = _METHODS[params.method](features[train], classes[train], n_classes, (penalty,))
        of_test = path.scores(features[test])[0]
        predicted[test], scores[test] = decide(of_test), of_test.max(axis=-1)
        lambdas.append(penalty)
    assert (predicted >= 0).all(), "every window is held out once"
    return HeldOut(predicted, scores, tuple(lambdas))


def person_folds(n_persons: int, n_folds: int) -> Ints:
    """(P,) fold of each person, as equal in number as can be.

    Raises:
        SplitError: There are fewer persons than folds.
    """
    if n_persons < n_folds:
        raise SplitError(f"{n_persons} persons cannot fill {n_folds} folds; lower probe.folds or add persons")
    return np.arange(n_persons, dtype=np.int64) % n_folds


def choose_lambda(
    features: NDArray[np.floating], classes: Ints, persons: Ints, n_classes: int, params: ProbeParams
) -> float:
    """Choose the penalty of best balanced accuracy on held-out training persons; the strongest of equals.

    Raises:
        SplitError: The training persons cannot be divided so that a class is left to learn from.
    """
    lambdas = tuple(sorted(params.lambdas))
    if len(lambdas) == 1:
        return lambdas[0]
    names, numbers = np.unique(persons, return_inverse=True)
    fold_of = person_folds(len(names), min(params.inner_folds, len(names)))[numbers]
    counts = np.zeros((len(lambdas), n_classes, n_classes))
    for fold in np.unique(fold_of):
        train, test = fold_of != fold, fold_of == fold
        if len(np.unique(classes[train])) == n_classes:
            path = _METHODS[params.method](features[train], classes[train], n_classes, lambdas)
            counts += _confusions(classes[test], decide(path.scores(features[test])), n_classes)
    if not counts.any():
        raise SplitError(
            f"{len(names)} training persons cannot be divided to choose among {len(lambdas)} penalties: "
            "without one of them a class is missing; add persons or give one value in probe.lambdas"
        )
    accuracy = balanced_accuracy(counts)
    return lambdas[int(np.flatnonzero(accuracy >= accuracy.max() - 1e-12)[-1])]


def _confusions(truth: Ints, predicted: Ints, n_classes: int) -> Ints:
    """(L, K, K) windows counted by penalty, true and predicted class, from (L, W) predictions."""
    n_lambdas = len(predicted)
    penalty = np.repeat(np.arange(n_lambdas), len(truth))
    return confusions_by_person(penalty, n_lambdas, np.tile(truth, n_lambdas), predicted.ravel(), n_classes)


def _refuse_missing_class(classes: Ints, n_classes: int, fold: int, n_folds: int) -> None:
    counts = np.bincount(classes, minlength=n_classes)
    if (counts == 0).any():
        raise SplitError(
            f"fold {fold} of {n_folds}: the training persons have {counts.tolist()} windows per class; "
            "every class is needed, add persons or lower probe.folds"
        )
