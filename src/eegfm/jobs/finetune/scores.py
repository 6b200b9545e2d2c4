"""Scores of everything that was said of the test windows of a task, and differences to the finetuned model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from eegfm.evaluation.scores.levels import Level
from eegfm.evaluation.scores.paired import compare_runs
from eegfm.evaluation.scores.predictions import ScoredPredictions
from eegfm.evaluation.scores.scored import ScoredRuns
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.said import Said
from eegfm.jobs.finetune.trained import FINETUNED
from eegfm.metrics.names import primary_metric

_OF_PERSON = 0.9


def score_models(
    said: Said, params: FinetuneParams, audits: Mapping[str, Mapping[str, float | None]]
) -> dict[str, Any]:
    """Score each model on windows, recordings and persons, and compare the finetuned one with all others.

    Args:
        said: What models said.
        params: Resamples of persons, and their seed.
        audits: What the features of each model tell of persons; see ``eegfm.jobs.finetune.audit``.

    Returns:
        JSON-ready. ``models`` by name, see ``ScoredRuns.to_dict``; ``identity`` is the model's audit.
        ``level`` and ``compared_by`` name the score that models are compared by: that of persons where every person has
        one answer. ``paired_difference`` by the name of the other model, positive in favour of the finetuned one.
    """
    runs = {name: ScoredRuns(_predictions(said, name), **_drawn(params)) for name in said.by_model}
    level, metric = level_of(said), primary_metric(said.target)
    compared = {name: compare_runs(runs[FINETUNED], other) for name, other in runs.items() if name != FINETUNED}
    return {
        "models": {name: {**scored.to_dict(), "identity": dict(audits[name])} for name, scored in runs.items()},
        "level": level,
        "compared_by": metric,
        "paired_difference": {
            name: {**found[level][metric], "per_person": found["per_person"]} for name, found in compared.items()
        },
    }


def level_of(said: Said) -> Level:
    """Return ``person`` where every person has one answer and somebody has several windows, else ``window``.

    A number is one of persons where nine tenths of its variance lie between them: ages differ a little between the
    sessions of a person.
    """
    truths = said.truths.reshape(len(said.truths), -1).astype(np.float64)
    persons = np.unique(said.windows["identity"].to_numpy(dtype=str), return_inverse=True)[1]
    n_windows = np.bincount(persons)
    if n_windows.max() == 1:
        return "window"
    means = np.stack([np.bincount(persons, column) / n_windows for column in truths.T], axis=1)[persons]
    within, all_ = ((truths - means) ** 2).mean(axis=0), truths.var(axis=0)
    if said.target.kind == "regression":
        return "person" if (within <= (1 - _OF_PERSON) * all_).all() else "window"
    return "person" if not within.any() else "window"


def _predictions(said: Said, model: str) -> list[ScoredPredictions]:
    windows = said.windows
    names = {"persons": windows["identity"].to_numpy(dtype=str), "recordings": windows["recording_id"].to_numpy(str)}
    starts = windows["start"].to_numpy(dtype=np.int64)
    return [
        ScoredPredictions(said.target, answers, said.truths, starts=starts, **names) for answers in said.runs(model)
    ]


def _drawn(params: FinetuneParams) -> dict[str, int]:
    return {"n_bootstrap": params.n_bootstrap, "seed": params.bootstrap_seed}
