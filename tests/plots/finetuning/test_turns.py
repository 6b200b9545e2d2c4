"""Thinned curves are the curves of scikit-learn: their points, their areas, and within the tolerance where merged."""

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from eegfm.plots.finetuning.turns import (
    MOST_POINTS,
    TOLERANCE,
    Curve,
    precision_recall_curve_of,
    roc_curve_of,
)


def ranked(seed: int, n: int, decimals: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positives = rng.random(n) < 0.3
    positives[:2] = [True, False]
    return np.round(rng.normal(size=n) + positives, decimals), positives


def step_area(curve: Curve) -> float:
    return float((np.diff(curve.x) * curve.y[1:]).sum())


def points(x: np.ndarray, y: np.ndarray) -> set[tuple[float, float]]:
    return set(zip(np.round(x, 12), np.round(y, 12), strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_exact_curves_have_points_and_areas_of_sklearn(seed: int) -> None:
    scores, positives = ranked(seed, 5 + 20 * seed, seed % 3)
    curve = roc_curve_of(scores, positives)
    assert curve is not None
    assert curve.is_exact
    fpr, tpr, _ = roc_curve(positives, scores, drop_intermediate=False)
    assert points(curve.x, curve.y) <= points(fpr, tpr)
    assert auc(curve.x, curve.y) == pytest.approx(roc_auc_score(positives, scores), abs=1e-12)
    # No point is left that lies on the line between its neighbours.
    (dx, dy) = np.diff(curve.x), np.diff(curve.y)
    assert (np.abs(dx[:-1] * dy[1:] - dx[1:] * dy[:-1]) > 1e-12).all()
    curve = precision_recall_curve_of(scores, positives)
    assert curve is not None
    assert curve.is_exact
    precision, recall, _ = precision_recall_curve(positives, scores)
    assert points(curve.x, curve.y) <= points(recall, precision)
    assert step_area(curve) == pytest.approx(average_precision_score(positives, scores), abs=1e-12)
    # Of a fall of precision at one recall, the first and the last point are left.
    assert np.unique(curve.x[1:], return_counts=True)[1].max() <= 2


def test_many_turns_are_merged_within_the_tolerance() -> None:
    scores, positives = ranked(0, 40_000, 9)
    curve = roc_curve_of(scores, positives)
    assert curve is not None
    assert not curve.is_exact
    fpr, tpr, _ = roc_curve(positives, scores, drop_intermediate=False)
    assert len(curve.x) < len(fpr) / 5
    distance = np.abs(np.interp(fpr, curve.x, curve.y) - tpr)
    # Where the curve is steep, its points are near sideways.
    sideways = np.abs(np.interp(tpr, curve.y, curve.x) - fpr)
    assert np.minimum(distance, sideways).max() <= TOLERANCE
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    curve = precision_recall_curve_of(scores, positives)
    assert curve is not None
    assert not curve.is_exact
    assert step_area(curve) == pytest.approx(average_precision_score(positives, scores), abs=TOLERANCE)


def test_turns_up_to_the_limit_are_all_drawn() -> None:
    scores = np.arange(2 * MOST_POINTS, dtype=float)
    positives = np.arange(2 * MOST_POINTS) < MOST_POINTS
    curve = roc_curve_of(scores, positives)
    assert curve is not None
    assert (len(curve.x), curve.is_exact) == (3, True), "one turn, however many windows"


@pytest.mark.parametrize("positives", [[True, True], [False, False], []])
def test_no_curve_without_both_answers(positives: list[bool]) -> None:
    scores, answers = np.arange(len(positives), dtype=float), np.array(positives, dtype=bool)
    assert precision_recall_curve_of(scores, answers) is None
    assert roc_curve_of(scores, answers) is None
