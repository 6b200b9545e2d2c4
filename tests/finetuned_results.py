"""Metrics and predictions of a finetuning, as the pipeline stores them, of random answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from answered_windows import TARGETS, random_windows
from eegfm.metrics.names import primary_metric
from eegfm.metrics.scoring.tally import point_scores
from eegfm.targets import TargetSpec

MODELS = ("majority", "finetuned", "band_power", "new_model")
N_PERSONS = 6


def results_of(
    targets: Mapping[str, TargetSpec] = TARGETS,
    models: Sequence[str] = MODELS,
    n_windows: int = 60,
    n_inits: int = 2,
    **protocol: Any,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Metrics by task, called ``hbn.<name>``, and predictions. All models answer the same windows."""
    metrics, tables = {}, []
    for number, (name, target) in enumerate(targets.items()):
        _, truths = random_windows(target, 3 * number, n_windows)
        own = {}
        for place, model in enumerate(models):
            runs = [said_of(target, truths, 10 * place + init) for init in range(n_inits)]
            own[model] = {"window": _scores(target, truths, runs), "recording": {}, "person": None}
            tables += [table(f"hbn.{name}", model, init, said, truths) for init, said in enumerate(runs)]
        metrics[f"hbn.{name}"] = {
            "models": own, "level": "window", "compared_by": primary_metric(target),
            "protocol": protocol_of(target, **protocol),
        }  # fmt: skip
    return metrics, pd.concat(tables, ignore_index=True)


def protocol_of(target: TargetSpec, **others: Any) -> dict[str, Any]:
    """What figures read of a protocol, as JSON has it."""
    told = {name: list(value) if isinstance(value, tuple) else value for name, value in target._asdict().items()}
    return {"target": told, "evaluation": "split", "simulated": False, "n_looks_before": 0, **others}


def said_of(target: TargetSpec, truths: Any, seed: int) -> Any:
    """What a model says that knows a little."""
    rng = np.random.default_rng(seed)
    n = len(truths)
    if target.kind == "regression":
        return np.nan_to_num(truths) * 0.5 + rng.normal(size=(n, *target.output_shape))
    if target.kind == "multilabel":
        return np.clip(np.nan_to_num(truths) * 0.4 + rng.random(truths.shape) * 0.6, 0, 1).round(2)
    powers = rng.random((n, *target.output_shape)) + 0.5 * (truths[..., None] == np.arange(len(target.classes)))
    return powers / powers.sum(axis=-1, keepdims=True)


def table(task: str, model: str, init: int, said: Any, truths: Any) -> pd.DataFrame:
    """Predictions of one training, in two divisions."""
    n = len(truths)
    person = np.arange(n) * N_PERSONS // n
    return pd.DataFrame(
        {
            "corpus": "hbn", "recording_id": [f"r{k // 2}" for k in range(n)], "start": np.arange(n) % 2 * 100,
            "person": [f"hbn:p{k}" for k in person], "identity": [f"p{k}" for k in person], "task": task,
            "model": model, "init": init, "division": np.where(person < N_PERSONS // 2, "fold 0", "fold 1"),
            "truth": [*truths.reshape(n, -1).astype(float)], "said": [*said.reshape(n, -1).astype(float)],
        }
    )  # fmt: skip


def _scores(target: TargetSpec, truths: Any, runs: Sequence[Any]) -> dict[str, Any]:
    by_run = [point_scores(target, said, truths) for said in runs]
    found = {}
    for name in by_run[0]:
        value = float(np.mean([scores[name] for scores in by_run]))
        known = not np.isnan(value)
        found[name] = {
            "value": value if known else None,
            "interval_95": [value - 0.1, value + 0.05] if known else [None, None],
        }
    return found
