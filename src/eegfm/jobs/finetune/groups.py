"""Score a finetuning by groups of persons, from its predictions and the tables of recordings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from eegfm.evaluation.groups import scores_by_group
from eegfm.evaluation.scores.predictions import ScoredPredictions
from eegfm.targets import TargetSpec

MODELS = ("finetuned", "band_power")
"""Models that are scored by group."""


def with_groups(
    metrics: Mapping[str, Mapping[str, Any]],
    predictions: pd.DataFrame,
    recordings: Mapping[str, pd.DataFrame],
    *,
    n_bootstrap: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Return metrics with ``groups``: see ``eegfm.evaluation.groups.scores_by_group``.

    Args:
        metrics: Metrics of a finetuning, by ``corpus.task``.
        predictions: Its predictions, see ``eegfm.jobs.finetune.said.Said.table``.
        recordings: Tables of recordings by corpus.
        n_bootstrap: Resamples of the persons of a group for each interval.
        seed: Seed of the resamples.
    """
    found = {}
    for task, block in metrics.items():
        target = TargetSpec.of_told(block["protocol"]["target"])
        rows = predictions[predictions["task"] == task]
        by_model = {model: rows[rows["model"] == model] for model in MODELS}
        said = {
            model: [_scored(target, one) for _, one in own.groupby("init")]
            for model, own in by_model.items()
            if len(own)
        }
        table, level, metric = recordings[task.partition(".")[0]], block["level"], block["compared_by"]
        groups = scores_by_group(said, table, metric, level, n_bootstrap=n_bootstrap, seed=seed)
        found[task] = {**block, "groups": groups}
    return found


def _scored(target: TargetSpec, rows: pd.DataFrame) -> ScoredPredictions:
    """Return what one seed said of the test windows of all divisions."""
    said, truths = (np.stack([np.asarray(v, dtype=np.float64) for v in rows[c]]) for c in ("said", "truth"))
    answers = truths if target.kind in ("multilabel", "regression") else truths.astype(np.int64)
    return ScoredPredictions(
        target,
        said.reshape(len(rows), *target.output_shape),
        answers[:, 0] if target.kind in ("binary", "multiclass") else answers,
        persons=rows["identity"].to_numpy(dtype=str),
        recordings=rows["recording_id"].to_numpy(dtype=str),
        starts=rows["start"].to_numpy(dtype=np.int64),
    )
