"""Score everything that was said of the test windows of a task, and differences to the finetuned model."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.scores.levels import Level
from eegfm.evaluation.scores.paired import compare_runs
from eegfm.evaluation.scores.predictions import ScoredPredictions
from eegfm.evaluation.scores.scored import ScoredRuns
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.said import Said
from eegfm.jobs.finetune.trained import FINETUNED
from eegfm.metrics.names import primary_metric

_OF_PERSON = 0.9


def score_models(said: Said, params: FinetuneParams) -> dict[str, Any]:
    """Score each model on windows, recordings and persons, and compare the finetuned one with all others.

    Args:
        said: What models said.
        params: Resamples of persons, and their seed.

    Returns:
        JSON-ready. ``models`` by name, see ``ScoredRuns.to_dict``. ``level`` and ``compared_by`` name the score that
        models are compared by: that of persons where every person has one answer. ``paired_difference`` by the name of
        the other model, positive in favour of the finetuned one.
    """
    runs = {name: scored_runs(said, name, params) for name in said.by_model}
    level, metric = level_of(said), primary_metric(said.target)
    compared = {name: compare_runs(runs[FINETUNED], other) for name, other in runs.items() if name != FINETUNED}
    return {
        "models": {name: scored.to_dict() for name, scored in runs.items()},
        "level": level,
        "compared_by": metric,
        "paired_difference": {
            name: {**found[level][metric], "per_person": found["per_person"]} for name, found in compared.items()
        },
    }


def scored_runs(said: Said, model: str, params: FinetuneParams) -> ScoredRuns:
    """Return the scores of all seeds or initialisations of a model."""
    return ScoredRuns(_predictions(said, model), n_bootstrap=params.n_bootstrap, seed=params.bootstrap_seed)


def level_of(said: Said) -> Level:
    """Return ``person`` where every person has one answer and somebody has several windows, else ``window``.

    A number is one of persons where nine tenths of its variance lie between them: ages differ a little between the
    sessions of a person.
    """
    truths = said.truths.reshape(len(said.truths), -1).astype(np.float64)
    known = ~np.isnan(truths) if said.target.kind in ("regression", "multilabel") else truths >= 0
    persons = np.unique(said.windows["identity"].to_numpy(dtype=str), return_inverse=True)[1]
    if np.bincount(persons).max() == 1:
        return "window"
    shares = [_share_within(column[of], persons[of]) for column, of in zip(truths.T, known.T, strict=True)]
    most = 1 - _OF_PERSON if said.target.kind == "regression" else 0.0
    return "person" if max(shares) <= most else "window"


def _share_within(answers: NDArray[np.float64], persons: NDArray[np.int64]) -> float:
    """Return the share of the variance of known answers that lies within persons; 0 where they do not vary."""
    if not len(answers) or not answers.std():
        return 0.0
    n_windows = np.bincount(persons)
    means = np.bincount(persons, answers) / np.maximum(n_windows, 1)
    return float(((answers - means[persons]) ** 2).mean() / answers.var())


def _predictions(said: Said, model: str) -> list[ScoredPredictions]:
    windows = said.windows
    names = {"persons": windows["identity"].to_numpy(dtype=str), "recordings": windows["recording_id"].to_numpy(str)}
    starts = windows["start"].to_numpy(dtype=np.int64)
    return [
        ScoredPredictions(said.target, answers, said.truths, starts=starts, **names) for answers in said.runs(model)
    ]
