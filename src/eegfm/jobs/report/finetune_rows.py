"""Scores of one task of a finetuning as rows of tables."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from eegfm.metrics.names import CLASS_METRICS, NUMBER_METRICS
from eegfm.plots.text import counted

_LEVELS = ("window", "recording", "person")
_NAMES = {"auroc": "AUROC", "auprc": "AUPRC", "ece": "ECE", "r2": "R2", "mse": "MSE", "mae": "MAE", "rmse": "RMSE"}
_NAMES |= {"nrmse": "nRMSE", "pearson": "Pearson r", "cohen_kappa": "Cohen's kappa", "f1": "F1", "brier": "Brier score"}
_NONE = "not defined"


def finetune_rows(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Return each model at each level with its scores, and the interval of the metric that models are compared by.

    Args:
        metrics: Metrics of one task.
    """
    compared, shown = metrics["compared_by"], _shown_metrics(metrics)
    rows = []
    for level, model, scores in _blocks(metrics):
        row = {"model": model, "level": level, _said(compared): _value(scores.get(compared))}
        row["95 % interval over persons"] = _interval(scores.get(compared))
        rows.append(row | {_said(name): _value(scores.get(name)) for name in shown if name != compared})
    return pd.DataFrame(rows)


def difference_rows(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Return the difference of the finetuned model to each other one. Positive differences are in its favour.

    Args:
        metrics: Metrics of one task.
    """
    rows = []
    for other, found in (metrics.get("paired_difference") or {}).items():
        row = {"finetuned minus": other, "difference": _number(found.get("difference"))}
        row["95 % interval over persons"] = _interval(found)
        rows.append(row | _by_person(found.get("per_person") or {}))
    return pd.DataFrame(rows)


def _by_person(found: Mapping[str, Any]) -> dict[str, str]:
    """Say how many persons have a better score, and Wilcoxon's signed-rank test."""
    shown = {}
    if "n_persons_improved" in found:
        score = _said(str(found["of"]).removeprefix("-"))
        shown[f"persons with better {score}"] = f"{found['n_persons_improved']} of {found['n_persons']}"
    if "wilcoxon" in found:
        shown["Wilcoxon p"] = _number(found["wilcoxon"]["p"])
    return shown


def group_rows(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Return each group with its counts, and with the score of each model and its interval.

    Args:
        metrics: Metrics of one task.
    """
    compared, rows = metrics["compared_by"], []
    for column, groups in ((metrics.get("groups") or {}).get("by") or {}).items():
        for group, found in groups.items():
            row = {"group": f"{column.replace('_', ' ')}: {group}"}
            row |= {"persons": found["n_persons"], "windows": found["n_windows"]}
            for model, scores in found["models"].items():
                row[f"{model}: {_said(compared)}"] = f"{_value(scores[compared])} ({_interval(scores[compared])})"
            rows.append(row)
    return pd.DataFrame(rows)


def share_rows(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Return each share of the training persons with the score of each model; no rows where metrics hold none.

    Args:
        metrics: Metrics of one task.
    """
    compared, rows = metrics["compared_by"], []
    for found in metrics.get("label_efficiency", ()):
        row = {"share of training persons": f"{found['ratio']:.0%}"}
        row |= {
            "trained on": counted(*found["n_persons"]),
            "closed forms fitted to": counted(*found["n_fitted_persons"]),
        }
        row |= {model: _value(scores[compared]) for model, scores in found.get("scores", {}).items()}
        rows.append(row | ({"why there is no score": found["too_few"]} if "too_few" in found else {}))
    return pd.DataFrame(rows)


def _blocks(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Scores by level and model, the level that models are compared at first."""
    first = metrics["level"]
    for level in sorted(_LEVELS, key=lambda name: name != first):
        for model, found in metrics["models"].items():
            if found.get(level):
                yield level, model, found[level]


def _shown_metrics(metrics: Mapping[str, Any]) -> list[str]:
    """Names of the metrics that a model has at any level, in their usual order."""
    there = {name for _, _, scores in _blocks(metrics) for name in scores}
    return [name for name in (*CLASS_METRICS, *NUMBER_METRICS) if name in there]


def _said(name: str) -> str:
    return _NAMES.get(name, name.replace("_", " "))


def _value(score: Mapping[str, Any] | None) -> str:
    """Mean over seeds, with the standard deviation over them where there are several."""
    if not score:
        return ""
    spread = f" ± {_number(score['sd'])}" if score.get("sd") is not None else ""
    return _number(score.get("value")) + spread


def _interval(found: Mapping[str, Any] | None) -> str:
    low, high = (found or {}).get("interval_95") or (None, None)
    return _NONE if low is None or high is None else f"{_number(low)} to {_number(high)}"


def _number(value: Any) -> str:
    if value is None:
        return _NONE
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"
    return str(value)
