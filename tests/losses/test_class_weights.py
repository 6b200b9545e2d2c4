"""Weights of classes: against scikit-learn, and that their mean over windows is 1."""

import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn.utils.class_weight import compute_class_weight

from eegfm.errors import ConfigError
from eegfm.losses.class_weights import class_weights
from eegfm.losses.config import ClassWeights
from eegfm.targets import TargetSpec

MULTICLASS = TargetSpec("multiclass", ("a", "b", "c"))
MULTILABEL = TargetSpec("multilabel", outputs=("x", "y"))
MULTIOUTPUT = TargetSpec("multioutput", ("a", "b", "c"), ("x", "y"))
COUNTS = {
    MULTICLASS: np.array([5, 90, 1]),
    MULTILABEL: np.array([[90, 10], [3, 97]]),
    MULTIOUTPUT: np.array([[5, 90, 1], [10, 0, 30]]),
}


def weighed(config: object, target: TargetSpec) -> np.ndarray:
    found = class_weights(TypeAdapter(ClassWeights).validate_python(config), target, COUNTS[target])
    assert found is not None
    return found


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    truths = np.repeat([0, 1, 2], COUNTS[MULTICLASS])
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 2]), y=truths)
    np.testing.assert_allclose(weighed("balanced", MULTICLASS), expected, rtol=1e-12)
    for k, counts in enumerate(COUNTS[MULTILABEL]):
        expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=np.repeat([0, 1], counts))
        np.testing.assert_allclose(weighed("balanced", MULTILABEL)[k], expected, rtol=1e-12)


@pytest.mark.parametrize("target", COUNTS)
@pytest.mark.parametrize(
    "config", ["balanced", "sqrt_balanced", {"name": "effective_number", "beta": 0.99}, "list"], ids=str
)
def test_the_mean_over_windows_is_one(config: object, target: TargetSpec) -> None:
    given = [0.5, 3.0, 7.0][: 2 if target is MULTILABEL else 3] if config == "list" else config
    weights, counts = weighed(given, target), COUNTS[target]
    assert weights.shape == counts.shape
    np.testing.assert_allclose((weights * counts).sum(-1) / counts.sum(-1), 1.0, rtol=1e-12)
    assert (weights > 0).all()


def test_ratios() -> None:
    root = weighed("sqrt_balanced", MULTICLASS)
    np.testing.assert_allclose((root / root[0]) ** 2, 5 / COUNTS[MULTICLASS], rtol=1e-12)
    effective = (1 - 0.99 ** COUNTS[MULTICLASS].astype(float)) / (1 - 0.99)
    found = weighed({"name": "effective_number", "beta": 0.99}, MULTICLASS)
    np.testing.assert_allclose(found / found[0], effective[0] / effective, rtol=1e-10)
    np.testing.assert_allclose(weighed({"name": "effective_number", "beta": 0}, MULTICLASS), 1.0)
    near_one = weighed({"name": "effective_number", "beta": 1 - 1e-12}, MULTICLASS)
    np.testing.assert_allclose(near_one, weighed("balanced", MULTICLASS), rtol=1e-3)
    listed = weighed([2.0, 4.0], MULTILABEL)
    np.testing.assert_allclose(listed[:, 1] / listed[:, 0], [2.0, 4.0])


def test_a_class_that_an_output_lacks_weighs_one() -> None:
    weights = weighed("balanced", MULTIOUTPUT)
    assert weights[1].tolist() == [2.0, 1.0, pytest.approx(2 / 3)]


def test_what_cannot_be_weighed_is_refused() -> None:
    weights = TypeAdapter(ClassWeights)
    assert class_weights(weights.validate_python("none"), MULTICLASS, COUNTS[MULTICLASS]) is None
    with pytest.raises(ConfigError, match=r"^class_weights 'balanced': a regression answer has no classes; leave"):
        class_weights(weights.validate_python("balanced"), TargetSpec("regression"), np.zeros(1, np.int64))
    with pytest.raises(ConfigError, match=r"lists 2 weights, but the task has 3 classes \(a, b, c\); list one for"):
        class_weights(weights.validate_python([1, 2]), MULTICLASS, COUNTS[MULTICLASS])
    with pytest.raises(AssertionError, match="no counts"):
        class_weights(weights.validate_python("balanced"), MULTILABEL, COUNTS[MULTICLASS])
