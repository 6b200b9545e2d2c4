"""Score what a probe predicts: every kind of features beside its controls."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.evaluation.answers import Answers, ClassAnswers, NumberAnswers
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.crossval import HeldOut, predict_held_out
from eegfm.evaluation.features import zscore_per_person
from eegfm.evaluation.label_efficiency import label_efficiency
from eegfm.evaluation.retrieval import MomentAnswers
from eegfm.evaluation.summary import OF_MEANS, PersonScores, compare
from eegfm.jobs.probe.audit import audits
from eegfm.jobs.probe.features import MAJORITY, FeatureSets
from eegfm.jobs.probe.trials import Trials

logger = logging.getLogger(__name__)


def score(
    features: FeatureSets, trained: Mapping[str, list[HeldOut]], trials: Trials, params: ProbeParams
) -> tuple[dict[str, Any], list[pd.DataFrame]]:
    """Score all kinds of features on a task.

    Args:
        features: Features by kind.
        trained: By kind, what heads that are trained by gradients predict, one for each initialisation; the other kinds
            are fitted in closed form here.
        trials: Windows of the task.
        params: Choices of the whole probe.

    Returns:
        Metrics of the task without its protocol, and tables of the predictions behind them.
    """
    rows: dict[bool, dict[str, PersonScores]] = {}
    tables, tested = [], trials.tested
    for transductive in _rows(trials):
        rows[transductive] = {}
        for kind, inits in features.items():
            if transductive and kind == MAJORITY:
                continue  # there is nothing to z-score
            runs = trained.get(kind) or _fitted(kind, inits, trials, transductive=transductive)
            tables += [_table(kind, k, transductive, run, tested) for k, run in enumerate(runs)]
            rows[transductive][kind] = PersonScores(runs, tested.answers, tested.persons, tested.names)
    logger.info("Probe of %s: intervals from %d bootstrap samples of persons", trials.task.key, params.n_bootstrap)
    metrics = _metrics(rows, params)
    for kind, audit in audits(features, trials, metrics).items():
        metrics[kind]["identity"] = audit
    if params.label_ratios and isinstance(trials.answers, Answers):
        metrics["label_efficiency"] = _label_efficiency(features, trials, trials.answers, params)
    return metrics, tables


def _label_efficiency(
    features: FeatureSets, trials: Trials, answers: Answers, params: ProbeParams
) -> list[dict[str, Any]]:
    logger.info("Probe of %s: label efficiency at %d shares of persons", trials.task.key, len(params.label_ratios))
    return label_efficiency(
        features,
        answers,
        trials.persons,
        trials.folds,
        trials.names,
        trials.task.fit,
        ratios=params.label_ratios,
        n_bootstrap=params.n_bootstrap,
        seed=params.seed,
    )


def _rows(trials: Trials) -> Iterable[bool]:
    """Return whether features are z-scored per person, row by row. That would erase what is asked of persons."""
    answers = trials.answers
    is_of_person = isinstance(answers, NumberAnswers) and answers.is_of_person
    return (False, True) if trials.task.fit.transductive and not is_of_person else (False,)


def _fitted(kind: str, inits: list[NDArray[np.float32]], trials: Trials, *, transductive: bool) -> list[HeldOut]:
    """Fit one kind of features in closed form; predictions by initialisation."""
    row, n_folds = "features z-scored per person" if transductive else "features", len(np.unique(trials.tested.folds))
    said = (trials.task.key, kind, row, len(inits), n_folds)
    logger.info("Probe of %s: fitting %s, %s (initialisations %d, folds %d)", *said)
    return [_run(values, trials, transductive=transductive) for values in inits]


def _run(features: NDArray[np.float32], trials: Trials, *, transductive: bool) -> HeldOut:
    values = zscore_per_person(features, trials.persons) if transductive else features
    if isinstance(trials.answers, MomentAnswers):
        return trials.answers.retrieve(values)
    assert isinstance(trials.answers, Answers)
    return predict_held_out(values, trials.answers, trials.persons, trials.folds, trials.task.fit.closed)


def _table(kind: str, init: int, transductive: bool, run: HeldOut, tested: Trials) -> pd.DataFrame:
    windows, answers = tested.windows, tested.answers
    table = windows[["corpus", "identity", "person", "fold", "recording_id", "start", "label", "target"]]
    predicted = np.array(answers.classes)[run.predicted] if isinstance(answers, ClassAnswers) else None
    table = table.assign(features=kind, init=init, transductive=transductive)
    table = table.assign(predicted=pd.Series(predicted, index=table.index, dtype="str"), score=run.scores)
    table.insert(1, "task", tested.task.name)
    return table


def _metrics(rows: Mapping[bool, Mapping[str, PersonScores]], params: ProbeParams) -> dict[str, Any]:
    drawn = {"n_bootstrap": params.n_bootstrap, "seed": params.seed}
    metrics = {kind: scores.to_dict(**drawn) for kind, scores in rows[False].items()}
    metrics["paired_difference"] = compare(rows[False], **drawn)
    if True in rows:
        for kind, scores in rows[True].items():
            metrics[kind]["transductive"] = scores.to_dict(**drawn)
        metrics["paired_difference"]["transductive"] = compare(rows[True], **drawn)
    return metrics


def log_scores(key: str, metrics: Mapping[str, Any]) -> None:
    """Log the score that each kind of features is compared by.

    Args:
        key: ``corpus.task``.
        metrics: Metrics of the task.
    """
    for kind, found in metrics.items():
        if "identity" not in found:
            continue
        block = found.get(OF_MEANS, found)
        name = next(name for name in ("balanced_accuracy", "top1", "r2") if name in block)
        low, high = block[name]["interval_95"]
        said = name.replace("_", " ").replace("r2", "R2").replace("top1", "top-1")
        logger.info("Probe of %s, %s: %s %.3f (%.3f-%.3f)", key, kind, said, block[name]["pooled"], low, high)
