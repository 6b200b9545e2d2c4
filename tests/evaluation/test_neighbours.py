import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from eegfm.evaluation import neighbours
from eegfm.evaluation.neighbours import nearest_classes, nearest_numbers

KS = (1, 4, 15)


def data(seed=0, n=90, n_features=6):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, n_features)) * rng.uniform(0.1, 10, n_features) + 3
    return features, rng.integers(3, size=n), rng.normal(size=n), rng.normal(size=(40, n_features)) * 5


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_numbers_are_those_of_scikit_learn(distance, monkeypatch):
    monkeypatch.setattr(neighbours, "_CELLS", 90 * 7)  # blocks of seven windows
    features, _, numbers, asked = data()
    scaler = StandardScaler().fit(features)
    found = nearest_numbers(features, numbers, distance).path(KS).scores(asked)
    for k, scores in zip(KS, found, strict=True):
        theirs = KNeighborsRegressor(k, metric=distance).fit(scaler.transform(features), numbers)
        np.testing.assert_allclose(scores[:, 0], theirs.predict(scaler.transform(asked)))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_shares_of_classes_are_those_of_scikit_learn_where_classes_are_equally_frequent(n_classes):
    features, _, _, asked = data()
    classes = np.arange(90) % n_classes
    scaler = StandardScaler().fit(features)
    found = nearest_classes(features, classes, n_classes, "euclidean").path(KS).scores(asked)
    for k, scores in zip(KS, found, strict=True):
        theirs = KNeighborsClassifier(k).fit(scaler.transform(features), classes).predict_proba(scaler.transform(asked))
        expected = theirs[:, 1:] - theirs[:, :1] if n_classes == 2 else theirs
        np.testing.assert_allclose(scores, expected, atol=1e-12)


def test_votes_of_rare_classes_weigh_more():
    features, _, _, asked = data()
    classes = (np.arange(90) < 9).astype(np.int64)
    scores = nearest_classes(features, classes, 2, "euclidean").path((90,)).scores(asked)
    np.testing.assert_allclose(scores, 0.0, atol=1e-12)


def test_windows_that_are_left_out_do_not_know_themselves():
    features, _, numbers, _ = data()
    group = np.arange(90) % 5 == 1
    found = nearest_numbers(features, numbers, "euclidean").left_out(group, KS)
    x = StandardScaler().fit_transform(features)
    for k, scores in zip(KS, found, strict=True):
        theirs = KNeighborsRegressor(k).fit(x[~group], numbers[~group]).predict(x[group])
        np.testing.assert_allclose(scores[:, 0], theirs)


def test_more_neighbours_than_windows_are_all_windows():
    features, _, numbers, asked = data(n=8)
    scores = nearest_numbers(features, numbers, "cosine").path((5, 100)).scores(asked)
    np.testing.assert_allclose(scores[1], numbers.mean())
    assert scores[0].std() > 0


def test_windows_without_direction_and_unknown_features_are_finite():
    features, classes, _, asked = data()
    asked[0], asked[1, 0] = features.mean(axis=0), np.nan
    assert np.isfinite(nearest_classes(features, classes, 3, "cosine").path(KS).scores(asked)).all()
