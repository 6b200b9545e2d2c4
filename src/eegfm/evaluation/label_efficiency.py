"""Label efficiency: the score when the answers of only some of the training persons are known."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import SplitError
from eegfm.evaluation.answers import Answers, ClassAnswers
from eegfm.evaluation.config import FitParams
from eegfm.evaluation.crossval import HeldOut, predict_rows
from eegfm.evaluation.linear import Floats, Ints, Rows
from eegfm.evaluation.penalty import refuse_indivisible
from eegfm.evaluation.summary import PersonScores, tested_persons
from eegfm.splits.draws import share

_FIRST = 2
"""Persons of each kind that come before all shares: one to train on and one to choose a penalty on."""


def label_efficiency(
    features: Mapping[str, Sequence[NDArray[np.floating]]],
    answers: Answers,
    persons: Ints,
    folds: Ints,
    names: Sequence[str],
    params: FitParams,
    *,
    ratios: Sequence[float],
    n_bootstrap: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Score every kind of features with the answers of some of the training persons.

    The persons of a smaller share are among those of every larger one, and all kinds of features get the same persons.

    Args:
        features: By kind, the features of each initialisation; see ``predict_rows``.
        answers: (W,) true answers.
        persons: (W,) person numbers, 0 to P - 1.
        folds: (W,) fold in which each window is held out, from 0; -1 for windows that are never tested.
        names: (P,) names of the persons.
        params: Method, and what is chosen from.
        ratios: Shares of the training persons, each above 0 and at most 1.
        n_bootstrap: Resamples of persons for each interval.
        seed: Seed of the order of persons, and of the bootstrap.

    Returns:
        One row per share, the smallest first: ``ratio``, ``n_persons`` (fewest and most of a fold), and by kind
        ``scores`` as those of a probe; or ``too_few``, which says in words why there are none.
    """
    orders, tested = _orders(answers, persons, folds, names, seed), tested_persons(persons, names, folds)
    asked = answers.at(tested.rows)
    rows = []
    for ratio in sorted(ratios):
        trained = _training_rows(orders, persons, ratio)
        row: dict[str, Any] = {"ratio": ratio, "n_persons": _extent(trained, persons)}
        rows.append(row)
        try:
            for train in trained:
                _refuse_few(answers.at(train), persons[train], params)
        except SplitError as error:
            row["too_few"] = str(error)
            continue
        row["scores"] = {}
        for kind, inits in features.items():
            runs = [_predicted(values, answers, persons, folds, trained, params) for values in inits]
            scores = PersonScores(runs, asked, tested.persons, tested.names)
            row["scores"][kind] = scores.to_dict(n_bootstrap=n_bootstrap, seed=seed)
    return rows


def order_of_persons(names: Sequence[str], has_answer: NDArray[np.bool_], seed: int) -> Ints:
    """(P,) persons, in an order whose every beginning has all kinds of persons as soon as it can.

    Persons are of one kind if they have the same answers. Two of each kind come first, then kinds alternate in
    proportion to their numbers. Within a kind, a hash of seed and name decides: other persons move nobody.

    Args:
        names: (P,) names of the persons.
        has_answer: (P, K) which answers occur among the windows of each person; K is 0 where answers are numbers.
        seed: Seed of the order.
    """
    shuffled = np.argsort(share(names, str(seed), "label efficiency"), kind="stable")
    kinds = np.unique(has_answer, axis=0, return_inverse=True)[1].reshape(-1)
    turns = np.empty(len(names))
    for kind in np.unique(kinds):
        mine = shuffled[kinds[shuffled] == kind]
        places = np.arange(len(mine))
        turns[mine] = np.where(places < _FIRST, places - _FIRST, (places + 0.5) / len(mine))
    return shuffled[np.argsort(turns[shuffled], kind="stable")]


def n_of_share(ratio: float, n_persons: int) -> int:
    """Return how many of some persons a share has."""
    return round(ratio * n_persons)


def _orders(answers: Answers, persons: Ints, folds: Ints, names: Sequence[str], seed: int) -> list[Ints]:
    """By fold, the persons of all other folds in the order in which shares take them; see ``order_of_persons``.

    Answers of the persons of a fold do not decide who is trained on for that fold.
    """
    has_class = np.zeros((len(names), len(answers.classes) if isinstance(answers, ClassAnswers) else 0), dtype=bool)
    if isinstance(answers, ClassAnswers):
        has_class[persons, answers.numbers] = True
    fold_of = np.zeros(len(names), dtype=np.int64)
    fold_of[persons] = folds
    orders = []
    for fold in range(int(folds.max()) + 1):
        known = np.flatnonzero(fold_of != fold)
        orders.append(known[order_of_persons([names[int(k)] for k in known], has_class[known], seed)])
    return orders


def _training_rows(orders: Sequence[Ints], persons: Ints, ratio: float) -> list[Rows]:
    """(W,) windows to train on, by fold."""
    return [np.isin(persons, order[: n_of_share(ratio, len(order))]) for order in orders]


def _extent(trained: Sequence[Rows], persons: Ints) -> list[int]:
    counts = [len(np.unique(persons[train])) for train in trained]
    return [min(counts), max(counts)]


def _refuse_few(known: Answers, persons: Ints, params: FitParams) -> None:
    """Refuse training windows that nothing can be learnt from.

    Raises:
        SplitError: Says how many persons there are.
    """
    n_persons = len(np.unique(persons))
    if n_persons == 0 or not known.can_be_learnt():
        missing = "" if n_persons == 0 else ", and a class has no window of theirs"
        raise SplitError(f"{n_persons} training persons in a fold{missing}; take a larger share, or more persons")
    refuse_indivisible(known, persons, params)


def _predicted(
    features: NDArray[np.floating],
    answers: Answers,
    persons: Ints,
    folds: Ints,
    trained: Sequence[Rows],
    params: FitParams,
) -> HeldOut:
    predicted: NDArray[Any] = np.zeros_like(answers.values)
    scores: Floats = np.zeros(len(persons))
    for fold, train in enumerate(trained):
        test = folds == fold
        found = predict_rows(features, answers, persons, train, test, params)
        predicted[test], scores[test] = found.predicted, found.scores
    return HeldOut(predicted[folds >= 0], scores[folds >= 0], {})
