"""Cross-validation over persons. The penalty is chosen on the training persons alone."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.linear import Floats, Ints, decide
from eegfm.evaluation.penalty import METHODS, choose_penalty, refuse_indivisible
from eegfm.progress import Ticker

logger = logging.getLogger(__name__)


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
    lambdas, ticker = [], Ticker()
    for fold in range(n_folds):
        train, test = folds != fold, folds == fold
        _refuse_missing_class(np.bincount(classes[train], minlength=n_classes), fold, n_folds)
        penalty = choose_penalty(features[train], classes[train], persons[train], n_classes, params)
        path = METHODS[params.method](features[train], classes[train], n_classes, (penalty,))
        of_test = path.scores(features[test])[0]
        predicted[test], scores[test] = decide(of_test), of_test.max(axis=-1)
        lambdas.append(penalty)
        if ticker.is_due():
            logger.info("Probe: fold %d of %d is fitted", fold + 1, n_folds)
    assert (predicted >= 0).all(), "every window is held out once"
    return HeldOut(predicted, scores, tuple(lambdas))


def check_divisions(classes: Ints, persons: Ints, folds: Ints, n_classes: int, params: ProbeParams) -> None:
    """Refuse windows that ``predict_held_out`` would refuse, before there are features. For arguments see there."""
    counts = np.zeros((int(persons.max()) + 1, n_classes), dtype=np.int64)
    np.add.at(counts, (persons, classes), 1)
    fold_of = np.full(len(counts), -1)
    fold_of[persons] = folds
    n_folds = int(folds.max()) + 1
    for fold in range(n_folds):
        of_training = counts[fold_of != fold]
        _refuse_missing_class(of_training.sum(axis=0), fold, n_folds)
        refuse_indivisible(of_training > 0, params)


def _refuse_missing_class(counts: Ints, fold: int, n_folds: int) -> None:
    if (counts == 0).any():
        raise SplitError(
            f"fold {fold} of {n_folds}: the training persons have {counts.tolist()} windows per class; "
            "every class is needed, add persons or change split.folds"
        )
