import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from eegfm.evaluation.metrics import (
    balanced_accuracy,
    confusions_by_person,
    mean_absolute_error,
    normalized_rmse,
    number_sums,
    paired_difference,
    pearson,
    r_squared,
)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 4))
def test_agrees_with_scikit_learn(seed, n_classes):
    rng = np.random.default_rng(seed)
    truth, persons = rng.integers(0, n_classes, 60), rng.integers(0, 5, 60)
    predicted = np.where(rng.random(60) < 0.6, truth, rng.integers(0, n_classes, 60))
    counts = confusions_by_person(persons, 5, truth, predicted, n_classes)
    assert balanced_accuracy(counts.sum(axis=0)) == pytest.approx(balanced_accuracy_score(truth, predicted))
    for person in set(persons):
        mine = persons == person
        np.testing.assert_array_equal(
            counts[person], confusion_matrix(truth[mine], predicted[mine], labels=range(n_classes))
        )


def test_only_classes_that_occur_count():
    assert balanced_accuracy(np.array([[3, 1], [0, 0]])) == 0.75
    assert balanced_accuracy(np.zeros((2, 2))) == 0.0


def test_paired_difference():
    found = paired_difference(np.array([0.9, 0.7, 0.5]), np.array([0.5, 0.7, 0.6]), ["a", "b", "c"])
    assert found["mean"] == pytest.approx(0.1)
    assert found["median"] == 0.0
    assert found["range"] == pytest.approx([-0.1, 0.4])
    assert (found["n_persons_improved"], found["n_persons"]) == (1, 3)
    assert found["per_person"] == pytest.approx({"a": 0.4, "b": 0.0, "c": -0.1})


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), offset=st.sampled_from([0.0, 1e6]))
def test_scores_of_numbers_agree_with_a_loop(seed, offset):
    rng = np.random.default_rng(seed)
    truth = offset + rng.normal(0, rng.uniform(0.1, 10), 40)
    predicted, persons = truth + rng.normal(0, rng.uniform(0, 10), 40), rng.integers(0, 4, 40)
    sums = number_sums(truth, predicted, persons, 4).sum(axis=0)
    n, mean, mean_p = 40, sum(truth) / 40, sum(predicted) / 40
    errors = sum((y - p) ** 2 for y, p in zip(truth, predicted, strict=True))
    of_truth, of_p = sum((y - mean) ** 2 for y in truth), sum((p - mean_p) ** 2 for p in predicted)
    together = sum((y - mean) * (p - mean_p) for y, p in zip(truth, predicted, strict=True))
    assert float(r_squared(sums)) == pytest.approx(1 - errors / of_truth, abs=1e-7)
    assert float(normalized_rmse(sums)) == pytest.approx(np.sqrt(errors / n) / np.sqrt(of_truth / n), abs=1e-7)
    assert float(pearson(sums)) == pytest.approx(together / np.sqrt(of_truth * of_p), abs=1e-7)
    absolute = sum(abs(y - p) for y, p in zip(truth, predicted, strict=True)) / n
    assert float(mean_absolute_error(sums)) == pytest.approx(absolute)


def test_numbers_that_do_not_vary():
    truth, persons = np.array([1.1, 1.3, 0.7]), np.zeros(3, dtype=np.int64)
    constant = number_sums(truth, np.full(3, 0.1), persons, 1)
    assert pearson(constant).tolist() == [0.0]
    assert (r_squared(constant) < 0).all()
    nothing = number_sums(np.full(3, 0.1), truth, persons, 1)
    assert all(np.isnan(measure(nothing)).all() for measure in (pearson, r_squared, normalized_rmse))
