"""Models of a finetuning on figures: their order and colours, their scores, and the titles of tasks."""

from collections.abc import Iterable, Mapping
from typing import Any

from eegfm.metrics.names import higher_is_better
from eegfm.plots.text import looks_before, plain, spelled

FINETUNED = "finetuned"
_COLOURS = {
    FINETUNED: "#d62728",
    "scratch": "#ff7f0e",
    "eegnet": "#9467bd",
    "frozen_ridge": "#1f77b4",
    "untrained_ridge": "#17becf",
    "band_power": "#2ca02c",
    "relative_band_power": "#8c9a2f",
    "log_covariance": "#8c564b",
    "majority": "#7f7f7f",
}
_OTHER_COLOURS = ("#e377c2", "#393b79", "#637939", "#843c39")
_EVALUATIONS = {"split": "held-out test split", "cross_validation": "cross-validation"}


def ordered(models: Iterable[str]) -> list[str]:
    """Return names of models: the known ones in their order, then the others as they come."""
    given = list(models)
    return [name for name in _COLOURS if name in given] + [name for name in given if name not in _COLOURS]


def colour(model: str) -> str:
    """Return the colour of a model; the same in every figure."""
    if model in _COLOURS:
        return _COLOURS[model]
    return _OTHER_COLOURS[sum(model.encode()) % len(_OTHER_COLOURS)]


def value_of(scores: Mapping[str, Any] | None, metric: str) -> float | None:
    """Return a value from the scores of a level; None where the level or the value is absent."""
    found = ((scores or {}).get(metric) or {}).get("value")
    return None if found is None else float(found)


def limits_of(scores: Mapping[str, Any] | None, metric: str) -> tuple[float, float] | None:
    """Return the limits of a value's interval; None where they are not known."""
    low, high = ((scores or {}).get(metric) or {}).get("interval_95") or (None, None)
    return None if low is None or high is None else (float(low), float(high))


def best_other(block: Mapping[str, Any], among: Iterable[str]) -> str | None:
    """Return the best model but the finetuned one, by the metric and the level that models are compared by.

    Args:
        block: Metrics of a task.
        among: Names of models that can be shown.
    """
    name, sign = block["compared_by"], 1.0 if higher_is_better(block["compared_by"]) else -1.0
    scores = {model: value_of(block["models"].get(model, {}).get(block["level"]), name) for model in among}
    known = {model: sign * value for model, value in scores.items() if value is not None and model != FINETUNED}
    return max(known, key=lambda model: known[model]) if known else None


def protocol_words(block: Mapping[str, Any]) -> str:
    """Say how a task was evaluated: split or cross-validation, looks before, simulated signals."""
    protocol = block["protocol"]
    evaluation = _EVALUATIONS.get(protocol["evaluation"], spelled(protocol["evaluation"]))
    simulated = " (SIMULATED)" if protocol["simulated"] else ""
    return f"{evaluation}, {looks_before(protocol['n_looks_before'])}{simulated}"


def task_title(task: str, what: str, block: Mapping[str, Any]) -> str:
    """Return the title of a task on a figure, with what is shown and how it was evaluated."""
    return f"<b>{plain(task)}: {what}</b><br>{protocol_words(block)}"
