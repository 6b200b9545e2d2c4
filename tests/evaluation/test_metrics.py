import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from eegfm.evaluation.metrics import balanced_accuracy, confusions_by_person, paired_difference


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
