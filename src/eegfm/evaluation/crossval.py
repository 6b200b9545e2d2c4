"""Cross-validation over persons. The penalty is chosen on the training persons alone."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import SplitError
from eegfm.evaluation.answers import Answers, ClassAnswers
from eegfm.evaluation.config import FitParams
from eegfm.evaluation.linear import Floats, Ints
from eegfm.evaluation.penalty import choose_penalty, refuse_indivisible
from eegfm.progress import Ticker

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """Predictions for windows of held-out persons.

    Args:
        predicted: (W,) class numbers, or numbers.
        scores: (W,) score of the second of two classes, of the predicted one of more classes, or the predicted number.
        lambdas: Chosen penalty of each fold.
    """

    predicted: NDArray[Any]
    scores: Floats
    lambdas: tuple[float, ...]


def predict_held_out(
    features: NDArray[np.floating], answers: Answers, persons: Ints, folds: Ints, params: FitParams
) -> HeldOut:
    """Cross-validate over persons.

    Args:
        features: (W, F).
        answers: (W,) true answers.
        persons: (W,) person numbers, 0 to P - 1 in a stable order.
        folds: (W,) fold in which each window is held out, from 0. All windows of a person have one fold.
        params: Method and penalties.

    Raises:
        SplitError: A fold's training persons lack a class or are too few to choose the penalty.
    """
    n_folds = int(folds.max()) + 1
    assert np.unique([persons, folds], axis=1).shape[1] == len(np.unique(persons)), "a person is in one fold"
    predicted, scores = np.zeros_like(answers.values), np.full(len(persons), np.nan)
    lambdas, ticker = [], Ticker()
    for fold in range(n_folds):
        train, test = folds != fold, folds == fold
        known = answers.at(train)
        _refuse_missing_class(known, fold, n_folds)
        fit = known.fit(features[train], params.method)
        penalty = choose_penalty(fit, known, persons[train], params)
        of_test = fit.path((penalty,)).scores(features[test])[0]
        predicted[test], scores[test] = known.predicted(of_test), of_test.max(axis=-1)
        lambdas.append(penalty)
        if ticker.is_due():
            logger.info("Probe: fold %d of %d is fitted", fold + 1, n_folds)
    assert not np.isnan(scores).any(), "every window is held out once"
    return HeldOut(predicted, scores, tuple(lambdas))


def check_divisions(answers: Answers, persons: Ints, folds: Ints, params: FitParams) -> None:
    """Refuse windows that ``predict_held_out`` would refuse, before there are features. For arguments see there."""
    n_folds = int(folds.max()) + 1
    for fold in range(n_folds):
        train = folds != fold
        _refuse_missing_class(answers.at(train), fold, n_folds)
        refuse_indivisible(answers.at(train), persons[train], params)


def _refuse_missing_class(answers: Answers, fold: int, n_folds: int) -> None:
    if isinstance(answers, ClassAnswers) and not answers.can_be_learnt():
        raise SplitError(
            f"fold {fold} of {n_folds}: the training persons have {answers.counts.tolist()} windows per class; "
            "every class is needed, add persons or change split.folds"
        )
