"""Random answered windows of every kind of target, with ties, rare classes and unknown answers, and their scores."""

import itertools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy.special import expit, softmax
from scipy.stats import pearsonr
from sklearn import metrics

from eegfm.targets import TargetSpec

CLASSES = ("a", "b", "c", "d", "e")
TARGETS = {
    "binary": TargetSpec.of_classes(CLASSES[:2]),
    "multiclass": TargetSpec.of_classes(CLASSES),
    "multilabel": TargetSpec("multilabel", outputs=("u", "v", "w")),
    "multioutput": TargetSpec("multioutput", CLASSES[:3], ("u", "v")),
    "regression": TargetSpec("regression", unit="s"),
    "regressions": TargetSpec("regression", outputs=("u", "v", "w")),
}
Values = NDArray[Any]


def random_windows(target: TargetSpec, seed: int, n_windows: int | None = None) -> tuple[Values, Values]:
    """Probabilities (float32) and truths of 1 to 60 windows. Odd seeds have ties, each third one unknown answers."""
    rng = np.random.default_rng(seed)
    n = n_windows or (1 + seed // 8 % 3 if seed % 8 == 7 else int(rng.integers(4, 61)))
    logits = rng.normal(size=(n, *target.output_shape)) * 2
    if seed % 2:
        logits = np.round(logits)
    unknown = 0.3 if seed % 3 == 0 else 0.0
    if target.kind == "regression":
        truths = (10 * rng.normal(size=logits.shape) + 3).astype(np.float32)
        said = (truths * rng.normal() + 20 * logits).astype(np.float32)
        truths[rng.random(truths.shape) < unknown] = np.nan
        return said, truths
    if target.kind == "multilabel":
        truths = (expit(logits + 2 * rng.normal(size=logits.shape)) > rng.random(logits.shape[1])).astype(np.float32)
        truths[rng.random(truths.shape) < unknown] = np.nan
        return expit(logits).astype(np.float32), truths
    # Few classes occur where windows are few; some classes are rare.
    noise = rng.normal(size=logits.shape) + rng.normal(size=logits.shape[-1])
    truths = (logits + noise).argmax(axis=-1)
    truths[rng.random(truths.shape) < unknown] = -1
    return softmax(logits, axis=-1).astype(np.float32), truths


@contextmanager
def quick_sklearn() -> Iterator[None]:
    """Without scikit-learn's checks of arguments and its warnings of what is not defined."""
    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def sklearn_scores(target: TargetSpec, said: Values, truths: Values) -> dict[str, float]:
    """Every metric by scikit-learn, output by output; what a metric leaves out is said in its definition."""
    with quick_sklearn():
        if target.kind == "regression":
            return _numbers(said.astype(np.float64), truths.astype(np.float64))
        if target.kind in ("binary", "multiclass"):
            known = truths >= 0
            return _one_of_classes(said[known].astype(np.float64), truths[known], len(target.classes))
        if target.kind == "multilabel":
            return _yes_or_no(said.astype(np.float64), truths)
        by_output = []
        for k in range(len(target.outputs)):
            known = truths[:, k] >= 0
            scores = _one_of_classes(said[known, k].astype(np.float64), truths[known, k], len(target.classes))
            if len(set(truths[known, k])) < 2:
                scores["cohen_kappa"] = np.nan
            scores["n_left_out"] = float(np.isnan(scores["auroc"]))
            by_output.append(scores)
        found = {name: mean(scores[name] for scores in by_output) for name in by_output[0]}
        return {**found, "n_left_out": float(sum(scores["n_left_out"] for scores in by_output))}


def mean(values: Any) -> float:
    """Mean of what is not NaN; NaN of nothing."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def _one_of_classes(p: Values, y: Values, n_classes: int) -> dict[str, float]:
    if not len(y):
        return dict.fromkeys(_NAMES, np.nan) | {"n_left_out": float(1 if n_classes == 2 else n_classes)}
    said, ranked = p.argmax(axis=1), [1] if n_classes == 2 else range(n_classes)
    aucs = [_areas(y == c, p[:, c]) for c in ranked]
    involved = [1] if n_classes == 2 else sorted({*y.tolist(), *said.tolist()})
    found = {
        **_averages(y, said),
        "accuracy": metrics.accuracy_score(y, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, said),
        "cohen_kappa": metrics.cohen_kappa_score(y, said),
        "specificity": mean(_recall_of_others(y, said, c) for c in involved),
        "brier": metrics.brier_score_loss(y, p[:, 1], labels=[0, 1])
        if n_classes == 2
        else metrics.brier_score_loss(y, p / p.sum(axis=1, keepdims=True), labels=list(range(n_classes))),
        "ece": calibration_error(p.max(axis=1), said == y),
        "auroc": mean(auroc for auroc, _ in aucs),
        "auprc": mean(auprc for _, auprc in aucs),
    }
    return {**found, "n_left_out": float(np.isnan([auroc for auroc, _ in aucs]).sum())}


def _averages(y: Values, said: Values) -> dict[str, float]:
    found = {}
    for average, ending in (("macro", ""), ("weighted", "_weighted")):
        p, r, f, _ = metrics.precision_recall_fscore_support(y, said, average=average, zero_division=0)
        found |= {f"precision{ending}": p, f"recall{ending}": r, f"f1{ending}": f}
    return found


def _yes_or_no(p: Values, truths: Values) -> dict[str, float]:
    rows, weights = [], []
    for k in range(truths.shape[1]):
        known = ~np.isnan(truths[:, k])
        y, q = truths[known, k].astype(int), p[known, k]
        said = (q > 0.5).astype(int)
        weights.append(y.sum())
        own = dict.fromkeys(_NAMES, np.nan)
        if y.any() or said.any():
            averages = metrics.precision_recall_fscore_support(y, said, average="binary", zero_division=0)
            own |= dict(zip(("precision", "recall", "f1"), averages[:3], strict=True))
        if len(y):
            own["accuracy"] = metrics.accuracy_score(y, said)
            own["balanced_accuracy"] = metrics.balanced_accuracy_score(y, said)
            own["brier"] = metrics.brier_score_loss(y, q, labels=[0, 1])
            own["ece"] = calibration_error(np.where(said, q, 1 - q), said == y)
            own["specificity"] = _recall_of_others(y, said, 1)
        own["auroc"], own["auprc"] = _areas(y == 1, q)
        if len(set(y.tolist())) == 2:
            own["cohen_kappa"] = metrics.cohen_kappa_score(y, said)
        rows.append(own)
    found = {name: mean(row[name] for row in rows) for name in _NAMES}
    for name in ("precision", "recall", "f1"):
        own = [w * row[name] for w, row in zip(weights, rows, strict=True) if w]
        found[f"{name}_weighted"] = sum(own) / sum(weights) if own else np.nan
    return {**found, "n_left_out": float(np.isnan([row["auroc"] for row in rows]).sum())}


def _recall_of_others(y: Values, said: Values, c: int) -> float:
    others = y != c
    return float(metrics.recall_score(others, said != c)) if others.any() else np.nan


def _areas(positive: Values, p: Values) -> tuple[float, float]:
    if positive.all() or not positive.any():
        return np.nan, np.nan
    return metrics.roc_auc_score(positive, p), metrics.average_precision_score(positive, p)


def calibration_error(confidence: Values, right: Values) -> float:
    """ECE by a loop over bins."""
    edges = np.arange(16) / 15
    total = 0.0
    for low, high in itertools.pairwise(edges):
        own = (confidence > low) & (confidence <= high)
        if own.any():
            total += own.sum() * abs(right[own].mean() - confidence[own].mean())
    return total / len(right)


def _numbers(said: Values, truths: Values) -> dict[str, float]:
    rows = []
    for k in range(truths.shape[1]):
        known = ~np.isnan(truths[:, k])
        y, p = truths[known, k], said[known, k]
        own = dict.fromkeys(("mse", "mae", "rmse", "r2", "pearson", "nrmse"), np.nan)
        if len(y):
            own |= {
                "mse": metrics.mean_squared_error(y, p),
                "mae": metrics.mean_absolute_error(y, p),
                "rmse": metrics.root_mean_squared_error(y, p),
            }
        if len(set(y.tolist())) > 1:
            own |= {"r2": metrics.r2_score(y, p), "pearson": pearsonr(y, p)[0], "nrmse": own["rmse"] / np.std(y)}
        rows.append(own)
    found = {name: mean(row[name] for row in rows) for name in rows[0]}
    return {**found, "n_left_out": float(np.isnan([row["r2"] for row in rows]).sum())}


_NAMES = (
    *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "precision_weighted", "recall_weighted"),
    *("f1_weighted", "cohen_kappa", "auroc", "auprc", "specificity", "brier", "ece"),
)
