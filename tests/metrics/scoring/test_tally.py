"""Weights of persons say what windows that are repeated say; definitions at their edges."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torchmetrics.functional import calibration_error

from answered_windows import CLASSES, TARGETS, random_windows, sklearn_scores
from eegfm.metrics.names import metric_names
from eegfm.metrics.scoring import curves
from eegfm.metrics.scoring.tally import point_scores, tally


@pytest.mark.parametrize("kind", TARGETS)
def test_a_weight_is_a_number_of_copies(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Areas are computed in pieces, whose borders change nothing."""
    monkeypatch.setattr(curves, "_CHUNK", 30)
    target, rng = TARGETS[kind], np.random.default_rng(0)
    for seed in (2, 3):
        said, truths = random_windows(target, seed, 40)
        persons = rng.integers(0, 6, 40)
        weights = rng.multinomial(6, np.full(6, 1 / 6), size=4).astype(np.float64)
        found = tally(target, said, truths, persons, 6).scores(weights, metric_names(target))
        for r in range(4):
            rows = np.repeat(np.arange(40), weights[r].astype(int)[persons])
            expected = sklearn_scores(target, said[rows], truths[rows])
            for name, values in found.items():
                assert values[r] == pytest.approx(expected[name], abs=1e-7, nan_ok=True), (name, seed, r)


def test_only_asked_scores_are_returned() -> None:
    said, truths = random_windows(TARGETS["binary"], 0, 20)
    counted = tally(TARGETS["binary"], said, truths, np.zeros(20, dtype=np.int64), 1)
    for names in (["f1"], ["auroc", "ece"], ["n_left_out"]):
        assert list(counted.scores(np.ones((1, 1)), names)) == names


def test_macro_and_weighted_f1_of_yes_are_those_of_scikit_learns_multilabel_targets() -> None:
    target = TARGETS["multilabel"]
    said, truths = random_windows(target, 2, 60)
    assert truths.any(axis=0).all()
    found = point_scores(target, said, truths)
    assert found["f1"] == pytest.approx(f1_score(truths, said > 0.5, average="macro"))
    assert found["f1_weighted"] == pytest.approx(f1_score(truths, said > 0.5, average="weighted"))


def test_the_calibration_error_is_that_of_torchmetrics() -> None:
    said, truths = random_windows(TARGETS["multiclass"], 2, 60)
    expected = calibration_error(
        torch.tensor(said), torch.tensor(truths), task="multiclass", num_classes=len(CLASSES), n_bins=15
    )
    assert point_scores(TARGETS["multiclass"], said, truths)["ece"] == pytest.approx(float(expected), abs=1e-6)


def test_ties_predict_the_first_class_and_no() -> None:
    half = point_scores(TARGETS["binary"], np.full((2, 2), 0.5), np.array([0, 1]))
    assert (half["accuracy"], half["specificity"], half["auroc"], half["auprc"]) == (0.5, 1.0, 0.5, 0.5)
    yes_or_no = point_scores(TARGETS["multilabel"], np.full((2, 3), 0.5), np.float32([[0, 1, 0], [0, 0, 1]]))
    assert yes_or_no["accuracy"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert yes_or_no["n_left_out"] == 1


def test_classes_that_do_not_occur_are_left_out_of_areas_and_counted() -> None:
    said = np.array([[0.7, 0.2, 0.1, 0, 0], [0.6, 0.3, 0.1, 0, 0], [0.1, 0.5, 0.4, 0, 0]])
    found = point_scores(TARGETS["multiclass"], said, np.array([0, 1, 1]))
    assert found["n_left_out"] == 3
    assert found["auroc"] == 1.0


def test_bins_of_confidence_are_closed_above() -> None:
    """A confidence of 9/15 and a higher one are in two bins, whose errors do not cancel out."""
    found = point_scores(TARGETS["binary"], np.array([[0.4, 0.6], [0.37, 0.63]]), np.array([0, 1]))
    assert found["ece"] == pytest.approx((0.6 + 0.37) / 2)
