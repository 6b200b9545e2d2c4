"""Probe a frozen encoder on persons it has never seen, beside the controls of every result."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.evaluation.answers import Answers
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.crossval import check_divisions
from eegfm.evaluation.features import refuse_montages
from eegfm.evaluation.tasks import probed_tasks
from eegfm.inference.backbone import rereference_for
from eegfm.inference.channels_left import with_channels_left
from eegfm.jobs.probe.compatibility import check_signals
from eegfm.jobs.probe.exposure import Exposure, refuse_pretrained
from eegfm.jobs.probe.features import FeatureSets, all_features, with_same_features
from eegfm.jobs.probe.heads import Trainings, divisions_of, plan_trainings, train_heads
from eegfm.jobs.probe.looks import look
from eegfm.jobs.probe.moments import moments_of_test_persons
from eegfm.jobs.probe.protocol import describe_protocol
from eegfm.jobs.probe.score import log_scores, score
from eegfm.jobs.probe.trials import Trials, answered_trials
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
    an encoder (see ``eegfm.evaluation.controls``). Every person is predicted from the persons of other folds only, or
    from those of splits ``train`` and ``validation`` (``ProbeParams.evaluation``). A person with several names (see
    ``eegfm.splits.persons``) is held out, resampled and compared as one. Tasks with the same windows share features.

    Args:
        checkpoint: The encoder.
        stores: Signals by probed corpus.
        windows: Runs of windows by probed corpus.
        splits: One row per person; those in ``test`` are probed.
        params: Tasks and protocol.
        ledger: Folder of the book of looks at test sets; None counts no looks.

    Raises:
        ConfigError: A task has no windows, a corpus has no task, or a GPU is asked for and none is there.
        SplitError: A person or a signal was, or may have been, pretrained on; or persons, classes, folds are too few.
        CheckpointError: The encoder does not fit the signals, was made by other code, or gives infinite values.
        StoreError: Stored samples differ from their checksums.
        TrainingError: bfloat16 is requested on a CPU that computes it wrong.
        DamageError: The book of looks cannot be read.
    """
    prediction_device(params.accelerator, params.precision, "probe.")
    if params.verify == "off":
        stores = {corpus: store.unverified() for corpus, store in stores.items()}
    all_trials = checked_trials(checkpoint.header, stores, windows, splits, params)
    planned = {one.task.key: _planned(checkpoint, stores[one.task.corpus], splits, one, params) for one in all_trials}
    found: dict[str, tuple[dict[str, Any], list[pd.DataFrame]]] = {}
    for group in with_same_features(all_trials):
        features = _features(checkpoint, stores[group[0].task.corpus], group, params)
        for trials in group:
            found[trials.task.key] = _probed(checkpoint, features, planned[trials.task.key], params, ledger)
    ordered = {key: found[key] for key in planned}
    metrics = {key: own for key, (own, _) in ordered.items()}
    return ProbeResult(metrics, pd.concat([t for _, tables in ordered.values() for t in tables], ignore_index=True))


@dataclass(frozen=True)
class _Planned:
    """A task that is to be probed: its windows, its persons, and the heads that are to be trained."""

    trials: Trials
    store: SignalStore
    split_table: SplitTable
    exposure: Exposure
    trainings: Trainings


def _planned(
    checkpoint: Checkpoint, store: SignalStore, splits: pd.DataFrame, trials: Trials, params: ProbeParams
) -> _Planned:
    """Refuse what the tables and parameters tell of a task, before any feature is computed."""
    table = SplitTable(splits)
    is_allowed = params.allow_pretrained_persons
    exposure = _exposure(table, splits, checkpoint.header, trials.tested, store, is_allowed=is_allowed)
    is_trained = trials.task.fit.is_trained
    trainings = plan_trainings(checkpoint, store, splits, trials, params) if is_trained else {}
    return _Planned(trials, store, table, exposure, trainings)


def _probed(
    checkpoint: Checkpoint, features: FeatureSets, planned: _Planned, params: ProbeParams, ledger: Path | None
) -> tuple[dict[str, Any], list[pd.DataFrame]]:
    """Metrics of a task, and the predictions behind them."""
    trials, store = planned.trials, planned.store
    n_looks_before = None if ledger is None else look(ledger, checkpoint, trials, store, params)
    trained = train_heads(planned.trainings, store, trials, params) if planned.trainings else {}
    metrics, tables = score(features, trained, trials, params)
    metrics["protocol"] = describe_protocol(
        checkpoint.header,
        trials,
        params,
        exposure=planned.exposure,
        splits=planned.split_table,
        n_looks_before=n_looks_before,
        is_simulated=store.is_simulated,
    )
    log_scores(trials.task.key, metrics)
    return metrics, tables


def _features(checkpoint: Checkpoint, store: SignalStore, group: list[Trials], params: ProbeParams) -> FeatureSets:
    """Compute the features that some tasks share."""
    keys = " and ".join(trials.task.key for trials in group)
    n_windows, n_persons = len(group[0].windows), len(group[0].names)
    logger.info("Probe of %s: features of %d windows of %d persons", keys, n_windows, n_persons)
    return all_features(checkpoint, store, group[0], params)


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
        if task.asked.kind == "retrieval":
            trials = moments_of_test_persons(windows[task.corpus], splits, task, usable)
        else:
            trials = answered_trials(windows[task.corpus], splits, task, usable, params.evaluation)
        _refuse_leaks(split_table, trials)
        if isinstance(trials.answers, Answers):
            check_divisions(trials.answers, trials.persons, trials.folds, task.fit.closed)
        if task.fit.is_trained:
            divisions_of(trials)
        refuse_montages(trials.windows, task.fit.pooling)
        found.append(trials)
    return found


def _refuse_leaks(split_table: SplitTable, trials: Trials) -> None:
    """Refuse test windows of persons who may not be tested, and training windows of persons who are.

    Raises:
        SplitError: With the first persons concerned.
    """
    split_table.check_test(trials.tested.windows)
    trained = trials.windows[~trials.is_tested]
    if len(trained):
        split_table.check_training(trained, "the probe")


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
