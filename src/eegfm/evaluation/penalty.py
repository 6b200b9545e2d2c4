"""Choice of a probe's penalty on the training persons alone."""

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.linear import FitPath, Ints, decide
from eegfm.evaluation.logistic import fit_logistic
from eegfm.evaluation.metrics import balanced_accuracy, confusions_by_person
from eegfm.evaluation.ridge import fit_ridge_classifier

METHODS: dict[str, FitPath] = {"ridge": fit_ridge_classifier, "logistic": fit_logistic}
"""By name, fits of one probe for a path of penalties."""


def choose_penalty(
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
            path = METHODS[params.method](features[train], classes[train], n_classes, lambdas)
            counts += _confusions(classes[test], decide(path.scores(features[test])), n_classes)
    if not counts.any():
        raise _indivisible(len(names), params)
    accuracy = balanced_accuracy(counts)
    return lambdas[int(np.flatnonzero(accuracy >= accuracy.max() - 1e-12)[-1])]


def refuse_indivisible(has_class: NDArray[np.bool_], params: ProbeParams) -> None:
    """Refuse training persons on whom ``choose_penalty`` cannot choose, before there are features.

    Args:
        has_class: (P, K) True where a training person has windows of a class, in the order of the persons' numbers.
        params: Penalties, and groups of persons.

    Raises:
        SplitError: See ``choose_penalty``.
    """
    if len(params.lambdas) == 1:
        return
    fold_of = np.arange(len(has_class)) % min(params.inner_folds, len(has_class))
    if not any(has_class[fold_of != fold].any(axis=0).all() for fold in np.unique(fold_of)):
        raise _indivisible(len(has_class), params)


def _indivisible(n_persons: int, params: ProbeParams) -> SplitError:
    return SplitError(
        f"{n_persons} training persons cannot be divided to choose among {len(params.lambdas)} penalties: "
        "without one of them a class is missing; add persons or give one value in probe.lambdas"
    )


def _confusions(truth: Ints, predicted: Ints, n_classes: int) -> Ints:
    """(L, K, K) windows counted by penalty, true and predicted class, from (L, W) predictions."""
    n_lambdas = len(predicted)
    penalty = np.repeat(np.arange(n_lambdas), len(truth))
    return confusions_by_person(penalty, n_lambdas, np.tile(truth, n_lambdas), predicted.ravel(), n_classes)
