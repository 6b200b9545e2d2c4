"""Node that finetunes an encoder on tasks."""

from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.jobs.finetune.config import FinetuneParams


def finetune_encoder(
    start: Checkpoint, splits: pd.DataFrame, params: FinetuneParams, runs: Path, ledger: Path, **of_corpora: Any
) -> dict[str, Any]:
    """Train on persons for training, select on those for validation, and score the others once, beside controls.

    Signals, windows, recordings and cuts of the corpora are named ``<corpus>__signals``, ``<corpus>__windows``,
    ``<corpus>__recordings``, ``<corpus>__cuts``.
    """
    from eegfm.jobs.finetune.finetune import finetune
    from eegfm.jobs.finetune.groups import with_groups
    from eegfm.plots import finetuning as figures

    parts: dict[str, dict[str, Any]] = {"signals": {}, "windows": {}, "recordings": {}, "cuts": {}}
    for name, value in of_corpora.items():
        corpus, what = name.split("__")
        parts[what][corpus] = value
    done = finetune(start, parts["signals"], parts["windows"], parts["cuts"], splits, params, runs, ledger)
    drawn = {"n_bootstrap": params.n_bootstrap, "seed": params.bootstrap_seed}
    metrics = with_groups(done.metrics, done.predictions, parts["recordings"], **drawn)
    return {
        "encoder": done.encoders,
        "metrics": metrics,
        "predictions": done.predictions,
        "history": figures.learning_curves(done.history),
        "comparison": figures.finetuning_figure(metrics),
        "label_efficiency": figures.label_efficiency_figure(metrics),
        "groups": figures.groups_figure(metrics),
        "roc": figures.roc_figure(metrics, done.predictions),
        "precision_recall": figures.precision_recall_figure(metrics, done.predictions),
        "confusion": figures.confusion_figure(metrics, done.predictions),
        "calibration": figures.calibration_figure(metrics, done.predictions),
        "scatter": figures.scatter_figure(metrics, done.predictions),
    }
