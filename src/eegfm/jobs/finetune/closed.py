"""Controls of a finetuning that are fitted in closed form: on training and selecting persons, for the test persons.

Shapes: W windows, T test windows, F features, K outputs, C classes, K' score columns.
"""

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.answers import Answers, ClassAnswers, NumberAnswers
from eegfm.evaluation.config import FitParams
from eegfm.evaluation.crossval import predict_rows
from eegfm.evaluation.linear import Ints, Rows
from eegfm.targets import TargetSpec

Floats = NDArray[np.float64]


def predict_closed(
    features: NDArray[np.floating],
    target: TargetSpec,
    truths: NDArray[np.generic],
    persons: Ints,
    train: Rows,
    test: Rows,
    fit: FitParams,
) -> Floats:
    """Fit windows whose answer is known, output by output, and say of the test windows what a model would say.

    Scores of ridge are no probabilities. They are made such by a softmax or a logistic function, which keeps the
    order of windows; calibration (Brier score, ECE) of these rows says little.

    Args:
        features: (W, F).
        target: What is asked.
        truths: (W,) or (W, K), see ``eegfm.targets``.
        persons: (W,) numbers of persons.
        train: (W,) windows to fit.
        test: (W,) windows to predict.
        fit: Method and penalties.

    Returns:
        (T, ...) probabilities or numbers.

    Raises:
        SplitError: Training persons are too few to choose a penalty on.
    """
    columns = truths.reshape(len(truths), -1)
    said = [_output(features, target, columns[:, k], persons, train, test, fit) for k in range(columns.shape[1])]
    if target.kind in ("binary", "multiclass"):
        return said[0]
    stacked = np.stack(said, axis=1)
    if target.kind == "multioutput":
        return stacked
    return np.asarray(stacked[..., 1] if target.kind == "multilabel" else stacked[..., 0])


def _output(
    features: NDArray[np.floating],
    target: TargetSpec,
    truths: NDArray[np.generic],
    persons: Ints,
    train: Rows,
    test: Rows,
    fit: FitParams,
) -> Floats:
    """(T, C) probabilities of one output, or (T, 1) numbers."""
    values = truths.astype(np.float64)
    known = ~np.isnan(values) if target.kind in ("regression", "multilabel") else values >= 0
    train = train & known
    if target.kind == "regression":
        answers = NumberAnswers(np.where(known, values, 0.0), is_of_person=False)
        return _scores(features, answers, persons, train, test, fit)
    n_classes = 2 if target.kind == "multilabel" else len(target.classes)
    numbers = np.where(known, values, 0.0).astype(np.int64)
    there = np.unique(numbers[train])
    said = np.zeros((int(test.sum()), n_classes))
    if len(there) < 2:  # an output that does not vary in training: nothing to fit
        said[:, there] = 1.0
        return said
    # A window of a class that training lacks counts nowhere in the fit; its number only fills the column.
    place = np.clip(np.searchsorted(there, numbers), 0, len(there) - 1)
    names = tuple(map(str, there))
    said[:, there] = _probabilities(_scores(features, ClassAnswers(place, names), persons, train, test, fit))
    return said


def _scores(
    features: NDArray[np.floating], answers: Answers, persons: Ints, train: Rows, test: Rows, fit: FitParams
) -> Floats:
    return predict_rows(features, answers, persons, train, test, fit).columns


def _probabilities(scores: Floats) -> Floats:
    """(T, C) from (T, K') scores, K' = 1 for two classes: ridge codes classes by -1 and 1."""
    if scores.shape[1] == 1:
        positive = 1.0 / (1.0 + np.exp(-2.0 * scores[:, 0]))
        return np.stack([1.0 - positive, positive], axis=1)
    powers = np.exp(2.0 * (scores - scores.max(axis=1, keepdims=True)))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def predict_majority(target: TargetSpec, truths: NDArray[np.generic], train: Rows, n_test: int) -> Floats:
    """Say of every window the shares of the classes in training, or the mean number: what knows no signal.

    Args:
        target: What is asked.
        truths: (W,) or (W, K).
        train: (W,) windows to count.
        n_test: Test windows.
    """
    columns = truths[train].reshape(int(train.sum()), -1).astype(np.float64)
    if target.kind in ("regression", "multilabel"):
        return np.tile(np.nanmean(columns, axis=0), (n_test, 1))
    counts = np.stack([(columns == number).sum(axis=0) for number in range(len(target.classes))], axis=-1)
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    if target.kind != "multioutput":
        shares = shares[0]
    return np.broadcast_to(shares, (n_test, *shares.shape)).copy()
