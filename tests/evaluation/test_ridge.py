import numpy as np
import pytest
from sklearn import linear_model
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eegfm.evaluation.linear import decide
from eegfm.evaluation.ridge import Ridge, fit_ridge_classifier, fit_ridge_regression

LAMBDAS = (1e-2, 1.0, 30.0)


@pytest.mark.parametrize("n_features", [8, 90])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifier_agrees_with_scikit_learn(n_features, n_classes):
    rng = np.random.default_rng([n_features, n_classes])
    classes = rng.integers(0, n_classes, 50) * rng.integers(0, 2, 50)  # class 0 is the most frequent
    features = rng.normal(5, 3, (50, n_features)) + classes[:, None]
    new = rng.normal(5, 3, (20, n_features))
    path = fit_ridge_classifier(features, classes, n_classes).path(LAMBDAS)
    scaler = StandardScaler().fit(features)
    for k, penalty in enumerate(LAMBDAS):
        theirs = RidgeClassifier(alpha=penalty * 50, class_weight="balanced", solver="svd")
        theirs.fit(scaler.transform(features), classes)
        ours = path.scores(new)[k]
        expected = theirs.decision_function(scaler.transform(new)).reshape(ours.shape)
        np.testing.assert_allclose(ours, expected, rtol=1e-7, atol=1e-9)
        np.testing.assert_array_equal(decide(ours), theirs.predict(scaler.transform(new)))


@pytest.mark.parametrize("n_features", [8, 90])
def test_regression_agrees_with_scikit_learn(n_features):
    rng = np.random.default_rng(n_features)
    features, new = rng.normal(size=(50, n_features)), rng.normal(size=(20, n_features))
    targets, weights = rng.normal(1, 1, (50, 2)), rng.uniform(0.5, 1.5, 50)
    weights *= 50 / weights.sum()
    path = Ridge(features, targets, weights).path(LAMBDAS)
    scaler = StandardScaler().fit(features)
    for k, penalty in enumerate(LAMBDAS):
        theirs = linear_model.Ridge(alpha=penalty * 50).fit(scaler.transform(features), targets, sample_weight=weights)
        np.testing.assert_allclose(path.scores(new)[k], theirs.predict(scaler.transform(new)), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("n_features", [8, 90])
def test_numbers_agree_with_scikit_learn_on_standardised_targets(n_features):
    rng = np.random.default_rng(n_features)
    features, new = rng.normal(3, 2, size=(50, n_features)), rng.normal(3, 2, size=(20, n_features))
    numbers = 40 + 12 * features[:, 0] + rng.normal(0, 5, 50)
    path = fit_ridge_regression(features, numbers).path(LAMBDAS)
    for k, penalty in enumerate(LAMBDAS):
        scaled = make_pipeline(StandardScaler(), linear_model.Ridge(alpha=penalty * 50))
        theirs = TransformedTargetRegressor(scaled, transformer=StandardScaler()).fit(features, numbers)
        np.testing.assert_allclose(path.scores(new)[k][:, 0], theirs.predict(new), rtol=1e-8)


def test_numbers_agree_with_the_normal_equations():
    """Float64, one loop over windows, standardised by hand."""
    rng = np.random.default_rng(0)
    features, numbers = rng.normal(5, 2, (30, 3)), rng.normal(100, 7, 30)
    path = fit_ridge_regression(features, numbers).path((0.3,))
    z, y = (features - features.mean(axis=0)) / features.std(axis=0), (numbers - numbers.mean()) / numbers.std()
    matrix, right = np.zeros((3, 3)), np.zeros(3)
    for row, value in zip(z, y, strict=True):
        matrix += np.outer(row, row) / 30
        right += row * value / 30
    coef = np.linalg.solve(matrix + 0.3 * np.eye(3), right)
    np.testing.assert_allclose(path.scores(features)[0][:, 0], numbers.mean() + numbers.std() * (z @ coef))


def test_equal_numbers_are_predicted_as_they_are():
    path = fit_ridge_regression(np.random.default_rng(0).normal(size=(10, 3)), np.full(10, 7.5)).path((1e-3,))
    np.testing.assert_allclose(path.scores(np.ones((2, 3)))[0], 7.5)


@pytest.mark.parametrize("n_windows", [40, 200])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_scores_without_a_group_are_those_of_a_fit_without_it(n_windows, n_targets):
    """Features of all windows' mean and deviation, some of them twice, constant or unknown."""
    rng = np.random.default_rng([n_windows, n_targets])
    features = rng.normal(3, 2, size=(n_windows, 60))
    features[:, 1], features[:, 2], features[::7, 3] = features[:, 0], 5.0, np.nan
    features[1] = features[0]
    targets, weights = rng.normal(size=(n_windows, n_targets)), rng.uniform(0.2, 3.0, n_windows)
    targets[:, 0] += features[:, 0] + 10
    group = rng.integers(0, 4, n_windows) == 1
    fit = Ridge(features, targets, weights)
    found = fit.left_out(group, LAMBDAS)
    standard = np.nan_to_num(np.where(np.nanstd(features, axis=0) > 0, features - np.nanmean(features, axis=0), 0.0))
    standard /= np.where(np.nanstd(features, axis=0) > 0, np.nanstd(features, axis=0), 1.0)
    for k, penalty in enumerate(LAMBDAS):
        theirs = linear_model.Ridge(alpha=penalty * weights[~group].sum(), tol=1e-12)
        theirs.fit(standard[~group], targets[~group], sample_weight=weights[~group])
        np.testing.assert_allclose(found[k], theirs.predict(standard[group]).reshape(-1, n_targets), rtol=1e-7)
    assert not np.allclose(found, fit.path(LAMBDAS).scores(features[group]))
