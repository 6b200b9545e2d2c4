"""Calibration: bins equal scikit-learn's where it has them, and their gaps are the ECE of the metrics."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve

from answered_windows import TARGETS
from eegfm.metrics.scoring.answered import outputs_of
from eegfm.metrics.scoring.tally import N_BINS
from eegfm.plots.finetuning import calibration_figure
from eegfm.plots.finetuning.calibration import bins_of
from eegfm.plots.finetuning.said import SaidOnce
from finetuned_results import results_of


def of_model(predictions: pd.DataFrame, model: str, init: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and success of the answered windows of a task with one class per window."""
    rows = predictions[(predictions["model"] == model) & (predictions["init"] == init)]
    said, truths = np.stack(rows["said"].to_list()), np.stack(rows["truth"].to_list())[:, 0]
    known = truths >= 0
    return said[known].max(axis=1), said[known].argmax(axis=1) == truths[known]


def test_bins_are_those_of_sklearn_and_their_gaps_are_the_ece() -> None:
    metrics, predictions = results_of({"multiclass": TARGETS["multiclass"]}, n_windows=200, n_inits=1)
    figure = calibration_figure(metrics, predictions)
    line = next(trace for trace in figure.data if trace.name == "finetuned")
    confidence, right = of_model(predictions, "finetuned", 0)
    # Scikit-learn's bins are closed below, ours above; no confidence here lies on an edge.
    assert not np.isclose(confidence * N_BINS, np.round(confidence * N_BINS)).any()
    shares, means = calibration_curve(right, confidence, n_bins=N_BINS)
    assert list(line.x) == pytest.approx(means)
    assert list(line.y) == pytest.approx(shares)
    n_windows = np.asarray(line.customdata)
    assert n_windows.sum() == len(right)
    ece = (n_windows * np.abs(np.asarray(line.x) - line.y)).sum() / len(right)
    assert ece == pytest.approx(metrics["hbn.multiclass"]["models"]["finetuned"]["window"]["ece"]["value"])
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles[0] == f"share of right windows by confidence (ECE: finetuned {ece:.3f})"
    counts = next(trace for trace in figure.data if trace.xaxis == "x2" and trace.name == "finetuned")
    assert list(counts.y) == list(n_windows)
    found, numbers = np.unique(np.digitize(confidence, np.linspace(0, 1, N_BINS + 1)), return_counts=True)
    assert list(counts.x) == pytest.approx((found - 0.5) / N_BINS)
    assert list(counts.y) == list(numbers)


def test_bins_are_closed_above() -> None:
    said = np.array([[0.4, 0.6], [0.4 - 1e-9, 0.6 + 1e-9], [1.0, 0.0]])
    once = SaidOnce(0, np.array(["a"] * 3), outputs_of(TARGETS["binary"], said, np.array([1, 0, 0])))
    bins = bins_of(once)
    assert (list(bins.number), list(bins.n_windows), list(bins.right)) == ([8, 9, 14], [1, 1, 1], [1, 0, 1])


def test_trained_models_are_shown_and_the_others_can_be() -> None:
    metrics, predictions = results_of({"binary": TARGETS["binary"], "age": TARGETS["regression"]})
    figure = calibration_figure(metrics, predictions)
    shown = {trace.name: trace.visible for trace in figure.data if trace.hoverinfo != "skip"}
    assert shown == {"finetuned": True, "band power": "legendonly", "majority": "legendonly", "new model": "legendonly"}
    assert figure.layout.title.text == "hbn.age: no calibration, the task asks for numbers"
    metrics, predictions = results_of({"binary": TARGETS["binary"]}, models=("band_power",))
    assert {trace.visible for trace in calibration_figure(metrics, predictions).data[:2]} == {True}
