"""Closed-form probes speak as models do: probabilities in the shapes of ``eegfm.targets``."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from eegfm.errors import SplitError
from eegfm.evaluation.answers import ClassAnswers, NumberAnswers
from eegfm.evaluation.config import FitParams
from eegfm.evaluation.crossval import predict_rows
from eegfm.evaluation.target_rows import predict_targets
from eegfm.targets import TargetSpec

RIDGE = FitParams(lambdas=(0.1, 1.0))
PERSONS = np.arange(120) % 10
TRAIN, TEST = PERSONS < 7, PERSONS >= 7


def data(seed=0, n_classes=3):
    rng = np.random.default_rng(seed)
    classes = np.tile(np.arange(n_classes), 120 // n_classes)[rng.permutation(120)]
    features = rng.normal(size=(120, 8)) * rng.uniform(0.1, 10, 8)
    features[:, :n_classes] += 2 * np.eye(n_classes)[classes]
    return features, classes, rng


def asked(features, truths, spec, params=RIDGE):
    return predict_targets(features, truths, spec, PERSONS, TRAIN, TEST, params)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("params", [RIDGE, FitParams(method="knn"), FitParams(method="logistic", lambdas=(0.1,))])
def test_probabilities_of_classes_decide_as_the_probe_does(n_classes, params):
    features, classes, _ = data(n_classes=n_classes)
    names = tuple("abc"[:n_classes])
    found, [chosen] = asked(features, classes, TargetSpec.of_classes(names), params)
    rows = predict_rows(features, ClassAnswers(classes, names), PERSONS, TRAIN, TEST, params)
    assert found.dtype == np.float32
    assert found.shape == (36, n_classes)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(found.argmax(axis=1), rows.predicted)
    assert chosen == rows.chosen
    if n_classes == 2:
        np.testing.assert_array_equal(np.argsort(found[:, 1]), np.argsort(rows.scores.astype(np.float32)))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_of_logistic_regression_are_those_of_scikit_learn(n_classes):
    features, classes, _ = data(n_classes=n_classes)
    penalty, n = 0.1, int(TRAIN.sum())
    found, _ = asked(
        features, classes, TargetSpec.of_classes("abc"[:n_classes]), FitParams(method="logistic", lambdas=(penalty,))
    )
    scaler = StandardScaler().fit(features[TRAIN])
    theirs = LogisticRegression(C=1 / (penalty * n), class_weight="balanced", tol=1e-10, max_iter=5000)
    theirs.fit(scaler.transform(features[TRAIN]), classes[TRAIN])
    np.testing.assert_allclose(found, theirs.predict_proba(scaler.transform(features[TEST])), atol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_of_neighbours_are_votes(n_classes):
    features, classes, _ = data(n_classes=n_classes)
    params = FitParams(method="knn", neighbours=(9,), distance="euclidean")
    found, _ = asked(features, classes, TargetSpec.of_classes("abc"[:n_classes]), params)
    scaler = StandardScaler().fit(features[TRAIN])
    weights = 1 / np.bincount(classes[TRAIN])
    theirs = KNeighborsClassifier(9).fit(scaler.transform(features[TRAIN]), classes[TRAIN])
    votes = theirs.predict_proba(scaler.transform(features[TEST])) * weights
    np.testing.assert_allclose(found, votes / votes.sum(axis=1, keepdims=True), atol=1e-6)


def test_without_features_probabilities_are_shares():
    features, _, _ = data()
    for names, classes in ((("a", "b"), (PERSONS % 4 == 0)), (("a", "b", "c"), np.minimum(PERSONS % 4, 2))):
        found, _ = asked(features[:, :0], classes.astype(np.int64), TargetSpec.of_classes(names))
        shares = np.bincount(classes[TRAIN].astype(np.int64)) / TRAIN.sum()
        np.testing.assert_allclose(found, np.tile(shares, (36, 1)), rtol=1e-6)


def test_unknown_classes_are_not_trained_on():
    features, classes, rng = data()
    unknown = rng.random(120) < 0.3
    spec = TargetSpec.of_classes("abc")
    found, _ = asked(features, np.where(unknown, -1, classes), spec)
    kept = ~unknown | TEST
    expected, _ = predict_targets(features[kept], classes[kept], spec, PERSONS[kept], TRAIN[kept], TEST[kept], RIDGE)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_every_label_is_a_probe_of_its_own():
    features, classes, rng = data()
    truths = np.stack([classes == 0, rng.random(120) < 0.4, np.zeros(120), classes == 1], axis=1).astype(np.float32)
    truths[rng.random(truths.shape) < 0.1] = np.nan
    spec = TargetSpec("multilabel", outputs=("x", "y", "never", "z"))
    found, chosen = asked(features, truths, spec)
    assert found.shape == (36, 4)
    assert (found[:, 2] == 0).all()
    assert chosen[2] == {}
    for k in (0, 1, 3):
        numbers = np.where(np.isnan(truths[:, k]), -1, truths[:, k]).astype(np.int64)
        alone, _ = asked(features, numbers, TargetSpec.of_classes(("no", "yes")))
        np.testing.assert_array_equal(found[:, k], alone[:, 1])


def test_outputs_of_classes_may_lack_some_in_training():
    features, classes, _ = data()
    rare = np.where(classes == 1, 0, classes)
    rare[np.flatnonzero(TEST)[0]] = 1  # only a test window has it
    truths = np.stack([classes, rare, np.full(120, 2)], axis=1)
    found, _ = asked(features, truths, TargetSpec("multioutput", classes=("a", "b", "c"), outputs=("x", "y", "z")))
    assert found.shape == (36, 3, 3)
    np.testing.assert_array_equal(found[:, 0], asked(features, classes, TargetSpec.of_classes("abc"))[0])
    alone, _ = asked(features, np.where(rare == 0, 0, 1), TargetSpec.of_classes("ac"))
    np.testing.assert_allclose(found[:, 1], np.insert(alone, 1, 0, axis=1))
    np.testing.assert_array_equal(found[:, 2], np.tile([0, 0, 1], (36, 1)))


@pytest.mark.parametrize("params", [RIDGE, FitParams(method="knn")])
def test_numbers_are_predicted_one_by_one(params):
    features, _, rng = data()
    truths = (features[:, :2] + rng.normal(size=(120, 2))).astype(np.float32)
    truths[rng.random(truths.shape) < 0.1] = np.nan
    found, chosen = asked(features, truths, TargetSpec("regression", outputs=("x", "y")), params)
    assert found.shape == (36, 2)
    for k in range(2):
        known = TRAIN & ~np.isnan(truths[:, k])
        answers = NumberAnswers(truths[:, k].astype(np.float64), is_of_person=False)
        rows = predict_rows(features, answers, PERSONS, known, TEST, params)
        np.testing.assert_allclose(found[:, k], rows.scores, rtol=1e-5)
        assert chosen[k] == rows.chosen
    one, _ = asked(features, truths[:, :1], TargetSpec("regression"), params)
    np.testing.assert_array_equal(one[:, 0], found[:, 0])


def test_leaks_and_answers_that_nobody_knows_are_refused():
    features, classes, _ = data()
    everybody = np.ones(120, dtype=bool)
    spec = TargetSpec("multilabel", outputs=("x",))
    for truths in (classes[:, None] * 0.0, (classes[:, None] == 1).astype(np.float32)):
        with pytest.raises(SplitError, match="3 persons are both trained on and tested"):
            predict_targets(features, truths, spec, PERSONS, everybody, TEST, RIDGE)
    with pytest.raises(SplitError, match="no training window has an answer to output 'x'"):
        asked(features, np.where(TRAIN, np.nan, 1.0)[:, None], spec)
    with pytest.raises(SplitError, match=r"this division: .*\[84, 0\] windows per class"):
        asked(features, np.where(TRAIN, 0, 1), TargetSpec.of_classes("ab"))
