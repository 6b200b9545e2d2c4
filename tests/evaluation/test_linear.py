import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from eegfm.evaluation.linear import Standardizer, balanced_weights, decide


def test_standardizer_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    train, test = rng.normal(3, 5, (30, 4)), rng.normal(3, 5, (7, 4))
    ours = Standardizer.fit(train)(test)
    np.testing.assert_allclose(ours, StandardScaler().fit(train).transform(test), rtol=1e-12)


def test_a_feature_constant_in_training_counts_nothing():
    # 0.1 has no exact binary form: its standard deviation comes out as rounding noise, not as zero.
    train = np.stack([np.full(30, 0.1), np.arange(30.0)], axis=1)
    assert (Standardizer.fit(train)(np.array([[7.0, 1.0]]))[:, 0] == 0).all()


@pytest.mark.parametrize("classes", [[0, 0, 0, 1], [2, 1, 1, 0, 0, 0]])
def test_weights_agree_with_scikit_learn(classes):
    classes = np.array(classes)
    expected = compute_sample_weight("balanced", classes)
    np.testing.assert_allclose(balanced_weights(classes, classes.max() + 1), expected)


def test_decide():
    assert decide(np.array([[0.3], [-0.2]])).tolist() == [1, 0]
    assert decide(np.array([[0.3, 0.1, 0.2], [0.1, 0.2, 0.9]])).tolist() == [0, 2]


def test_what_is_not_known_of_a_window_is_the_mean_of_training():
    rng = np.random.default_rng(3)
    train, test = rng.normal(3, 2, (50, 6)), rng.normal(3, 2, (20, 6))
    train[rng.random(train.shape) < 0.2], test[rng.random(test.shape) < 0.2] = np.nan, np.nan
    train[:, 4] = np.nan  # padding: known of no window
    found = Standardizer.fit(train)(test)
    known = [0, 1, 2, 3, 5]
    filled = SimpleImputer().fit(train[:, known]).transform(test[:, known])
    expected = (filled - np.nanmean(train[:, known], axis=0)) / np.nanstd(train[:, known], axis=0)
    np.testing.assert_allclose(found[:, known], expected, atol=1e-12)
    assert not found[:, 4].any()
