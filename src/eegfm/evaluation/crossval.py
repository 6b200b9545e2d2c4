"""Closed-form probes on divisions of persons. Whatever is chosen is chosen on the training persons alone.

Shapes: W windows, F features, L layers, T test windows.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import SplitError
from eegfm.evaluation.answers import Answers, ClassAnswers
from eegfm.evaluation.config import FitParams
from eegfm.evaluation.linear import Fit, Floats, Ints, Rows
from eegfm.evaluation.penalty import choose_penalty, refuse_indivisible
from eegfm.progress import Ticker

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """Predictions for windows of held-out persons; T of them.

    Args:
        predicted: (T,) class numbers, or numbers.
        scores: (T,) score of the second of two classes, of the predicted one of more classes, or the predicted number.
        chosen: By name of the option, what was chosen in each fold: ``lambdas`` or ``neighbours``, and ``layers``,
            counted from 1, if one of several is chosen.
    """

    predicted: NDArray[Any]
    scores: Floats
    chosen: Mapping[str, tuple[float, ...]]


class PredictedRows(NamedTuple):
    """Predictions for the test windows of one division.

    Args:
        predicted: (T,) class numbers, or numbers.
        scores: (T,) as those of ``HeldOut``.
        chosen: By name of the option, what was chosen on the training persons.
        columns: (T, K') scores of all classes, one column for two of them, or the predicted number.
    """

    predicted: NDArray[Any]
    scores: Floats
    chosen: Mapping[str, float]
    columns: Floats


def predict_rows(
    features: NDArray[np.floating], answers: Answers, persons: Ints, train: Rows, test: Rows, params: FitParams
) -> PredictedRows:
    """Fit a closed-form probe to some windows and predict others.

    Answers of windows that are not trained on are never looked at.

    Args:
        features: (W, F), or (W, L, F) of several layers, of which one is chosen, the deepest of equals. Without
            features (F is 0), the most frequent class or the mean of the training windows is predicted.
        answers: (W,) true answers.
        persons: (W,) person numbers.
        train: (W,) True for the training windows.
        test: (W,) True for the windows to predict.
        params: Method, and what is chosen from.

    Raises:
        SplitError: A person is in both, the training windows lack a class, or their persons are too few to choose on.
    """
    assert not params.is_trained, "a head that is trained by gradients is no closed form"
    refuse_shared_persons(persons, train, test)
    known = answers.at(train)
    _refuse_missing_class(known, "this division")
    if features.shape[-1] == 0:
        return _as_rows(known, np.tile(known.without_features(), (int(test.sum()), 1)), {})
    layers = features[:, None] if features.ndim == 2 else features
    best: tuple[int, float, Fit] | None = None
    best_rank = -np.inf
    for layer in range(layers.shape[1]):
        fit = known.fit(layers[train, layer], params)
        choice = choose_penalty(fit, known, persons[train], params)
        if choice.is_no_worse_than(best_rank):
            best, best_rank = (layer, choice.value, fit), choice.rank
    assert best is not None, "there is a layer"
    layer, value, fit = best
    chosen = {params.strength: value} | ({"layers": layer + 1} if features.ndim == 3 else {})
    return _as_rows(known, fit.path((value,)).scores(layers[test, layer])[0], chosen)


def predict_held_out(
    features: NDArray[np.floating], answers: Answers, persons: Ints, folds: Ints, params: FitParams
) -> HeldOut:
    """Predict each held-out person from all others: fold by fold, or once.

    Args:
        features: See ``predict_rows``.
        answers: (W,) true answers.
        persons: (W,) person numbers, 0 to P - 1 in a stable order.
        folds: (W,) fold in which each window is held out, from 0; -1 for windows that are always trained on. All
            windows of a person have one fold.
        params: Method, and what is chosen from.

    Returns:
        Predictions for the windows that have a fold, in their order.

    Raises:
        SplitError: See ``predict_rows``.
    """
    n_folds = int(folds.max()) + 1
    predicted, scores = np.zeros_like(answers.values), np.full(len(persons), np.nan)
    chosen: dict[str, list[float]] = {}
    ticker = Ticker()
    for fold in range(n_folds):
        test = folds == fold
        _refuse_missing_class(answers.at(~test), _where(fold, folds))
        found = predict_rows(features, answers, persons, ~test, test, params)
        predicted[test], scores[test] = found.predicted, found.scores
        for name, value in found.chosen.items():
            chosen.setdefault(name, []).append(value)
        if ticker.is_due():
            logger.info("Probe: fold %d of %d is fitted", fold + 1, n_folds)
    is_tested = folds >= 0
    assert not np.isnan(scores[is_tested]).any(), "every window of a fold is held out once"
    return HeldOut(predicted[is_tested], scores[is_tested], {name: tuple(values) for name, values in chosen.items()})


def check_divisions(answers: Answers, persons: Ints, folds: Ints, params: FitParams) -> None:
    """Refuse windows that ``predict_held_out`` would refuse, before there are features. For arguments see there."""
    n_folds = int(folds.max()) + 1
    for fold in range(n_folds):
        train = folds != fold
        refuse_shared_persons(persons, train, ~train)
        _refuse_missing_class(answers.at(train), _where(fold, folds))
        refuse_indivisible(answers.at(train), persons[train], params)


def _where(fold: int, folds: Ints) -> str:
    """Name a division in a message."""
    return f"fold {fold} of {int(folds.max()) + 1}" if (folds >= 0).all() else "split train and validation"


def _as_rows(known: Answers, scores: Floats, chosen: Mapping[str, float]) -> PredictedRows:
    """From (T, K') scores."""
    return PredictedRows(known.predicted(scores), scores.max(axis=-1), chosen, scores)


def refuse_shared_persons(persons: Ints, train: Rows, test: Rows) -> None:
    """Refuse a division in which a person is both trained on and tested. For arguments see ``predict_rows``.

    Raises:
        SplitError: Gives the number of such persons.
    """
    shared = np.intersect1d(persons[train], persons[test])
    if len(shared):
        raise SplitError(
            f"{len(shared)} persons are both trained on and tested (first: number {shared[0]}); a person's windows "
            "belong to one side, give all of them one fold or one split"
        )


def _refuse_missing_class(answers: Answers, where: str) -> None:
    if isinstance(answers, ClassAnswers) and not answers.can_be_learnt():
        raise SplitError(
            f"{where}: the training persons have {answers.counts.tolist()} windows per class; "
            "every class is needed, add persons or change split.folds"
        )
