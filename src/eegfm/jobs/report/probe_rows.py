"""Scores of one task of a probe as rows of a table."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from eegfm.evaluation.summary import OF_MEANS

_KINDS = ("pretrained", "untrained", "band_power")
_NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "top1": "top-1",
    "r2": "R2",
    "pearson": "Pearson r",
    "nrmse": "nRMSE",
    "mae": "MAE",
}


def probe_rows(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Each kind of features with its scores, and the interval of the first of them.

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


def _blocks(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Kinds of features with their scores: one prediction per person first, then windows, then transductive ones."""
    kinds = [name for name in _KINDS if name in metrics]
    for what, said in ((OF_MEANS, "mean prediction per person"), ("", "windows")):
        for name in kinds:
            if not what:
                yield (f"{name} ({said})" if OF_MEANS in metrics[name] else name), metrics[name]
            elif what in metrics[name]:
                yield f"{name} ({said})", metrics[name][what]
    for name in kinds:
        if "transductive" in metrics[name]:
            yield f"{name} (z-scored per person, transductive)", metrics[name]["transductive"]
