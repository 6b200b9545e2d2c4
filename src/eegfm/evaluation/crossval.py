"""Cross-validation over persons. The penalty is chosen on the training persons alone."""

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
    """Predictions for windows of held-out persons.

    Args:
        predicted: (W,) class numbers.
        scores: (W,) score of the second of two classes, or of the predicted one of more classes.
        lambdas: Chosen penalty of each fold.
    """

    predicted: Ints
    scores: Floats
    lambdas: tuple[float, ...]


def predict_held_out(
    features: NDArray[np.floating], classes: Ints, persons: Ints, folds: Ints, n_classes: int, params: ProbeParams
) -> HeldOut:
    """Cross-validate over persons.

    Args:
        features: (W, F).
        classes: (W,) class numbers.
        persons: (W,) person numbers, 0 to P - 1 in a stable order.
        folds: (W,) fold in which each window is held out, from 0. All windows of a person have one fold.
        n_classes: K.
        params: Method and penalties.

    Raises:
        SplitError: A fold's training persons lack a class or are too few to choose the penalty.
    """
    n_folds = int(folds.max()) + 1
    assert np.unique([persons, folds], axis=1).shape[1] == len(np.unique(persons)), "a person is in one fold"
    predicted, scores = np.full(len(classes), -1, dtype=np.int64), np.full(len(classes), np.nan)
    lambdas = []
    for fold in range(n_folds):
        train, test = folds != fold, folds == fold
        _refuse_missing_class(classes[train], n_classes, fold, n_folds)
        penalty = choose_lambda(features[train], classes[train], persons[train], n_classes, params)
        path = _METHODS[params.method](features[train], classes[train], n_classes, (penalty,))
        of_test = path.scores(features[test])[0]
        predicted[test], scores[test] = decide(of_test), of_test.max(axis=-1)
        lambdas.append(penalty)
    assert (predicted >= 0).all(), "every window is held out once"
    return HeldOut(predicted, scores, tuple(lambdas))


def choose_lambda(
    features: NDArray[np.floating], classes: Ints, persons: Ints, n_classes: int, params: ProbeParams
) -> float:
    """Choose the penalty with the best balanced accuracy on held-out training persons; the strongest of equals.

    Raises:
        SplitError: In every division of the training persons, a class is missing from the inner training set.
    """
    lambdas = tuple(sorted(params.lambdas))
    if len(lambdas) == 1:
        return lambdas[0]
    names, numbers = np.unique(persons, return_inverse=True)
    fold_of = numbers % min(params.inner_folds, len(names))
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
            "every class is needed, add persons or change split.folds"
        )
