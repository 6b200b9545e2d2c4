"""Probe a frozen encoder on persons it has never seen, beside the controls of every result."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.evaluation.answers import Answers, ClassAnswers, NumberAnswers
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.crossval import HeldOut, check_divisions, predict_held_out
from eegfm.evaluation.features import refuse_montages, zscore_per_person
from eegfm.evaluation.label_efficiency import label_efficiency
from eegfm.evaluation.retrieval import MomentAnswers
from eegfm.evaluation.summary import OF_MEANS, PersonScores, compare
from eegfm.evaluation.tasks import probed_tasks
from eegfm.inference.backbone import rereference_for
from eegfm.inference.channels_left import with_channels_left
from eegfm.jobs.probe.audit import audits
from eegfm.jobs.probe.compatibility import check_signals
from eegfm.jobs.probe.exposure import Exposure, refuse_pretrained
from eegfm.jobs.probe.features import MAJORITY, FeatureSets, all_features, with_same_features
from eegfm.jobs.probe.looks import look
from eegfm.jobs.probe.moments import moments_of_test_persons
from eegfm.jobs.probe.protocol import describe_protocol
from eegfm.jobs.probe.trials import Trials, trials_of_test_persons
from eegfm.splits.leakage import SplitTable
from eegfm.store.reader import SignalStore
from eegfm.training.supervised.predicting import prediction_device

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProbeResult:
    """Numbers for the report and the predictions behind them.

    Args:
        metrics: By ``corpus.task``, JSON-ready.
        predictions: One row per task, window, kind of features, initialisation and row (inductive or transductive).
    """

    metrics: dict[str, dict[str, Any]]
    predictions: pd.DataFrame


def probe(
    checkpoint: Checkpoint,
    stores: Mapping[str, SignalStore],
    windows: Mapping[str, pd.DataFrame],
    splits: pd.DataFrame,
    params: ProbeParams,
    ledger: Path | None = None,
) -> ProbeResult:
    """Predict the answers of labelled windows of the test persons from frozen features, task by task.

    All kinds of features go through one protocol: the trained encoder, the same encoder untrained, and controls without
    an encoder (see ``eegfm.evaluation.controls``). Every person is predicted from the persons of other folds only. A
    person with several names (see ``eegfm.splits.persons``) is held out, resampled and compared as one. Tasks with the
    same windows share features.

    Args:
        checkpoint: The encoder.
        stores: Signals by probed corpus.
        windows: Runs of windows by probed corpus.
        splits: One row per person; those in ``test`` are probed, fold by fold.
        params: Tasks and protocol.
        ledger: Folder of the book of looks at test sets; None counts no looks.

    Raises:
        ConfigError: A task has no windows, a corpus has no task, or a GPU is asked for and none is there.
        SplitError: A person or a signal was, or may have been, pretrained on, or persons, classes, folds or windows
            are too few.
        CheckpointError: The encoder does not fit the signals, was made by other code, or gives values that are not
            finite.
        StoreError: Stored samples differ from their checksums.
        TrainingError: bfloat16 is requested on a CPU that computes it wrong.
        DamageError: The book of looks cannot be read.
    """
    prediction_device(params.accelerator, params.precision, "probe.")
    if params.verify == "off":
        stores = {corpus: store.unverified() for corpus, store in stores.items()}
    split_table = SplitTable(splits)
    all_trials = checked_trials(checkpoint.header, stores, windows, splits, params)
    exposed = partial(_exposure, split_table, splits, checkpoint.header, is_allowed=params.allow_pretrained_persons)
    exposures = {trials.task.key: exposed(trials, stores[trials.task.corpus]) for trials in all_trials}
    found: dict[str, tuple[dict[str, Any], list[pd.DataFrame]]] = {}
    for group in with_same_features(all_trials):
        store = stores[group[0].task.corpus]
        keys = " and ".join(trials.task.key for trials in group)
        n_windows, n_persons = len(group[0].windows), len(group[0].names)
        logger.info("Probe of %s: features of %d windows of %d persons", keys, n_windows, n_persons)
        features = all_features(checkpoint, store, group[0], params)
        for trials in group:
            n_looks_before = None if ledger is None else look(ledger, checkpoint, trials, params, split_table.sha256)
            metrics, tables = _scored(features, trials, params)
            metrics["protocol"] = describe_protocol(
                checkpoint.header,
                trials,
                params,
                exposure=exposures[trials.task.key],
                splits_sha256=split_table.sha256,
                n_looks_before=n_looks_before,
                is_simulated=store.is_simulated,
            )
            _log(trials.task.key, metrics)
            found[trials.task.key] = metrics, tables
    ordered = [found[trials.task.key] for trials in all_trials]
    return ProbeResult(
        {trials.task.key: metrics for trials, (metrics, _) in zip(all_trials, ordered, strict=True)},
        pd.concat([table for _, tables in ordered for table in tables], ignore_index=True),
    )


def checked_trials(
    header: CheckpointHeader,
    stores: Mapping[str, SignalStore],
    windows: Mapping[str, pd.DataFrame],
    splits: pd.DataFrame,
    params: ProbeParams,
) -> list[Trials]:
    """Find the windows of all tasks, and refuse what can be refused before there are features.

    Raises:
        ConfigError: A task has no windows, or a corpus has no task.
        SplitError: Persons, classes, folds or windows are too few, or montages too many.
        CheckpointError: The signals have another rate or other filters than the encoder's.
    """
    for store in stores.values():
        check_signals(header, store)
    split_table, found = SplitTable(splits), []
    for task in probed_tasks(params, {corpus: {*map(str, table["cut"])} for corpus, table in windows.items()}):
        usable = partial(_with_channels_left, stores[task.corpus], header)
        find = moments_of_test_persons if task.asked.kind == "retrieval" else trials_of_test_persons
        trials = find(windows[task.corpus], splits, task, usable)
        split_table.check_test(trials.windows)
        if isinstance(trials.answers, Answers):
            check_divisions(trials.answers, trials.persons, trials.folds, task.fit)
        refuse_montages(trials.windows, task.fit.pooling)
        found.append(trials)
    return found


def _with_channels_left(store: SignalStore, header: CheckpointHeader, windows: pd.DataFrame) -> pd.DataFrame:
    stores = {str(corpus): store for corpus in windows["corpus"].unique()}
    return with_channels_left(windows, stores, partial(rereference_for, header))


def _exposure(
    split_table: SplitTable,
    splits: pd.DataFrame,
    header: CheckpointHeader,
    trials: Trials,
    store: SignalStore,
    *,
    is_allowed: bool,
) -> Exposure:
    """Probed persons that the encoder was trained on; an error unless the parameters allow them."""
    probed = splits[splits["identity"].isin(trials.names)]
    return refuse_pretrained(
        split_table,
        trials.windows,
        header,
        {entry.recording_id: entry.facts.get("signal_hashes", ()) for entry in store.entries},
        keys=[str(key) for keys in probed["keys"] for key in keys],
        n_persons=len(trials.names),
        is_allowed=is_allowed,
    )


def _scored(features: FeatureSets, trials: Trials, params: ProbeParams) -> tuple[dict[str, Any], list[pd.DataFrame]]:
    """Scores of all kinds of features on a task, and the predictions behind them."""
    rows: dict[bool, dict[str, PersonScores]] = {}
    tables = []
    for transductive in _rows(trials):
        rows[transductive] = {}
        for kind, inits in features.items():
            if transductive and kind == MAJORITY:
                continue  # there is nothing to z-score
            row = "features z-scored per person" if transductive else "features"
            logger.info(
                "Probe of %s: fitting %s, %s (initialisations %d, folds %d)",
                trials.task.key, kind, row, len(inits), len(np.unique(trials.folds)),
            )  # fmt: skip
            runs = [_run(values, trials, transductive=transductive) for values in inits]
            tables += [_table(kind, k, transductive, run, trials) for k, run in enumerate(runs)]
            rows[transductive][kind] = PersonScores(runs, trials.answers, trials.persons, trials.names)
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


def _run(features: NDArray[np.float32], trials: Trials, *, transductive: bool) -> HeldOut:
    values = zscore_per_person(features, trials.persons) if transductive else features
    if isinstance(trials.answers, MomentAnswers):
        return trials.answers.retrieve(values)
    assert isinstance(trials.answers, Answers)
    return predict_held_out(values, trials.answers, trials.persons, trials.folds, trials.task.fit)


def _table(kind: str, init: int, transductive: bool, run: HeldOut, trials: Trials) -> pd.DataFrame:
    windows, answers = trials.windows, trials.answers
    table = windows[["corpus", "identity", "person", "fold", "recording_id", "start", "label", "target"]]
    predicted = np.array(answers.classes)[run.predicted] if isinstance(answers, ClassAnswers) else None
    table = table.assign(features=kind, init=init, transductive=transductive)
    table = table.assign(predicted=pd.Series(predicted, index=table.index, dtype="str"), score=run.scores)
    table.insert(1, "task", trials.task.name)
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


def _log(key: str, metrics: Mapping[str, Any]) -> None:
    for kind, found in metrics.items():
        if "identity" not in found:
            continue
        block = found.get(OF_MEANS, found)
        name = next(name for name in ("balanced_accuracy", "top1", "r2") if name in block)
        low, high = block[name]["interval_95"]
        said = name.replace("_", " ").replace("r2", "R2").replace("top1", "top-1")
        logger.info("Probe of %s, %s: %s %.3f (%.3f-%.3f)", key, kind, said, block[name]["pooled"], low, high)
