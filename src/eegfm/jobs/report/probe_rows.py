"""Scores of one task of a probe as rows of a table."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from eegfm.evaluation.summary import OF_MEANS
from eegfm.plots.text import counted

_COMPARED = ("balanced_accuracy", "top1", "r2")
_NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "top1": "top-1",
    "r2": "R2",
    "pearson": "Pearson r",
    "nrmse": "nRMSE",
    "mae": "MAE",
}


def probe_rows(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Return each kind of features with its scores, and the interval of the first of them.

    Args:
        metrics: Metrics of one task.
    """
    rows = []
    for name, block in _blocks(metrics):
        scores = {key: block[key] for key in _NAMES if key in block}
        low, high = next(iter(scores.values()))["interval_95"]
        (first, shown), *others = ((_NAMES[key], f"{score['pooled']:.3f}") for key, score in scores.items())
        interval = {"95 % interval over persons": f"{low:.3f} to {high:.3f}"}
        rows.append({"features": name, first: shown, **interval, **dict(others)})
    return pd.DataFrame(rows)


def audit_rows(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Return what each kind of features tells of persons; no rows where metrics hold no audit.

    Args:
        metrics: Metrics of one task.
    """
    return identity_rows({kind: metrics[kind]["identity"] for kind in _kinds(metrics) if "identity" in metrics[kind]})


def identity_rows(audits: Mapping[str, Mapping[str, float | None]]) -> pd.DataFrame:
    """Return what features tell of persons.

    Args:
        audits: Audits by kind of features, or by model.
    """
    rows = []
    for kind, found in audits.items():
        row = {"features": kind, "variance between persons": _shown(found["between_persons"])}
        row |= {"that of noise": _shown(found["between_persons_by_chance"])}
        row |= {"variance of the answer": _shown(found["of_answer"])}
        row |= {"persons told apart": _shown(found["accuracy"]), "by chance": _shown(found["chance"])}
        rows.append(row | {"gain of z-scores per person": _shown(found.get("transductive_gap"))})
    return pd.DataFrame(rows)


def efficiency_rows(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Return the first score of each kind of features by share of the training persons; no rows without such scores.

    Args:
        metrics: Metrics of one task.
    """
    rows = []
    for found in metrics.get("label_efficiency", ()):
        row = {"share of training persons": f"{found['ratio']:.0%}", "persons": counted(*found["n_persons"])}
        rows.append(row | {kind: _first(block) for kind, block in found.get("scores", {}).items()})
        if "too_few" in found:
            rows[-1]["why there is no score"] = found["too_few"]
    return pd.DataFrame(rows)


def _kinds(metrics: Mapping[str, Any]) -> list[str]:
    """List kinds of features, in the order of the metrics: what has a score that features are compared by."""
    return [
        name for name, found in metrics.items() if isinstance(found, Mapping) and not found.keys().isdisjoint(_COMPARED)
    ]


def _first(block: Mapping[str, Any]) -> str:
    of_persons = block.get(OF_MEANS, block)
    return next(f"{of_persons[name]['pooled']:.3f}" for name in _COMPARED if name in of_persons)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _blocks(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield kinds of features with their scores: of persons first, then of windows, then transductive ones."""
    kinds = _kinds(metrics)
    for what, said in ((OF_MEANS, "mean prediction per person"), ("", "windows")):
        for name in kinds:
            if not what:
                yield (f"{name} ({said})" if OF_MEANS in metrics[name] else name), metrics[name]
            elif what in metrics[name]:
                yield f"{name} ({said})", metrics[name][what]
    for name in kinds:
        if "transductive" in metrics[name]:
            yield f"{name} (z-scored per person, transductive)", metrics[name]["transductive"]
