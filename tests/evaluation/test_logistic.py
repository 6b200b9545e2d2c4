import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from eegfm.evaluation.logistic import Logistic

LAMBDAS = (1e-2, 1.0, 0.1)


@pytest.mark.parametrize("n_features", [8, 90])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_agrees_with_scikit_learn(n_features, n_classes):
    rng = np.random.default_rng([n_features, n_classes])
    classes = rng.integers(0, n_classes, 50) * rng.integers(0, 2, 50)
    features = rng.normal(5, 3, (50, n_features)) + classes[:, None]
    new = rng.normal(5, 3, (20, n_features))
    path = Logistic(features, classes, n_classes).path(LAMBDAS)
    scaler = StandardScaler().fit(features)
    for k, penalty in enumerate(LAMBDAS):
        theirs = LogisticRegression(C=1 / (50 * penalty), class_weight="balanced", tol=1e-10, max_iter=10_000)
        theirs.fit(scaler.transform(features), classes)
        ours = path.scores(new)[k]
        expected = theirs.decision_function(scaler.transform(new)).reshape(ours.shape)
        if n_classes > 2:  # softmax fixes scores up to a common shift
            ours, expected = (s - s.mean(axis=1, keepdims=True) for s in (ours, expected))
        np.testing.assert_allclose(ours, expected, atol=2e-4)
