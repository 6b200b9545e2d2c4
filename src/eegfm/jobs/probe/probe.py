"""Probe a frozen encoder on persons it has never seen, beside the controls of every result."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.crossval import HeldOut, check_divisions, predict_held_out
from eegfm.evaluation.features import refuse_montages, zscore_per_person
from eegfm.evaluation.summary import PersonScores, compare
from eegfm.inference.backbone import rereference_for
from eegfm.inference.channels_left import with_channels_left
from eegfm.jobs.probe.compatibility import check_signals
from eegfm.jobs.probe.exposure import Exposure, refuse_pretrained
from eegfm.jobs.probe.features import all_features
from eegfm.jobs.probe.protocol import describe_protocol
from eegfm.jobs.probe.trials import Trials, trials_of_test_persons
from eegfm.splits.leakage import SplitTable
from eegfm.store.reader import SignalStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProbeResult:
    """Numbers for the report and the predictions behind them.

    Args:
        metrics: JSON-ready.
        predictions: One row per window, kind of features, initialisation and row (inductive or transductive).
    """

    metrics: dict[str, Any]
    predictions: pd.DataFrame


def probe(
    checkpoint: Checkpoint,
    store: SignalStore,
    windows: pd.DataFrame,
    splits: pd.DataFrame,
    params: ProbeParams,
) -> ProbeResult:
    """Classify labelled windows of the test persons from frozen features.

    Three kinds of features go through one protocol: the trained encoder, the same encoder untrained, and log band
    power. Every person is predicted from the persons of other folds only. A person with several names (see
    ``eegfm.splits.persons``) is held out, resampled and compared as one.

    Args:
        checkpoint: The encoder.
        store: Signals of the probed corpus.
        windows: Runs of windows of the probed corpus.
        splits: One row per person; those in ``test`` are probed, fold by fold.
        params: The protocol.

    Raises:
        SplitError: A person or a signal was, or may have been, pretrained on, or persons, classes, folds or windows
            are too few.
        CheckpointError: The encoder does not fit the signals, was made by other code, or gives values that are not
            finite.
        StoreError: Stored samples differ from their checksums.
    """
    if params.verify == "off":
        store = store.unverified()
    split_table = SplitTable(splits)
    trials = checked_trials(checkpoint.header, store, windows, splits, params)
    exposure = _exposure(split_table, splits, trials, store, checkpoint.header, params)
    n_persons, n_folds = len(trials.names), len(np.unique(trials.folds))
    logger.info("Probe: features of %d windows of %d persons", len(trials.windows), n_persons)
    features = all_features(checkpoint, store, trials, params)
    rows: dict[bool, dict[str, PersonScores]] = {}
    tables = []
    for transductive in (False, True) if params.transductive else (False,):
        rows[transductive] = {}
        for kind, inits in features.items():
            row = "features z-scored per person" if transductive else "features"
            logger.info("Probe: fitting %s, %s (initialisations %d, folds %d)", kind, row, len(inits), n_folds)
            runs = [_run(values, trials, params, transductive=transductive) for values in inits]
            tables += [_table(kind, k, transductive, run, trials) for k, run in enumerate(runs)]
            rows[transductive][kind] = PersonScores(
                runs, trials.truth, trials.persons, trials.names, len(trials.classes)
            )
    logger.info("Probe: intervals from %d bootstrap samples of persons", params.n_bootstrap)
    metrics = _metrics(rows, params)
    metrics["protocol"] = describe_protocol(
        checkpoint.header,
        trials,
        params,
        exposure=exposure,
        splits_sha256=split_table.sha256,
        is_simulated=store.is_simulated,
    )
    _log(metrics)
    return ProbeResult(metrics, pd.concat(tables, ignore_index=True))


def checked_trials(
    header: CheckpointHeader, store: SignalStore, windows: pd.DataFrame, splits: pd.DataFrame, params: ProbeParams
) -> Trials:
    """Find the windows to classify, and refuse what can be refused before there are features.

    Raises:
        SplitError: Persons, classes, folds or windows are too few, or montages too many.
        CheckpointError: The signals have another rate or other filters than the encoder's.
    """
    check_signals(header, store)
    trials = trials_of_test_persons(windows, splits, params, partial(_with_channels_left, store, header))
    SplitTable(splits).check_test(trials.windows)
    check_divisions(trials.truth, trials.persons, trials.folds, len(trials.classes), params)
    refuse_montages(trials.windows, params.pooling)
    return trials


def _with_channels_left(store: SignalStore, header: CheckpointHeader, windows: pd.DataFrame) -> pd.DataFrame:
    stores = {str(corpus): store for corpus in windows["corpus"].unique()}
    return with_channels_left(windows, stores, partial(rereference_for, header))


def _exposure(
    split_table: SplitTable,
    splits: pd.DataFrame,
    trials: Trials,
    store: SignalStore,
    header: CheckpointHeader,
    params: ProbeParams,
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
        is_allowed=params.allow_pretrained_persons,
    )


def _run(features: NDArray[np.float32], trials: Trials, params: ProbeParams, *, transductive: bool) -> HeldOut:
    values = zscore_per_person(features, trials.persons) if transductive else features
    return predict_held_out(values, trials.truth, trials.persons, trials.folds, len(trials.classes), params)


def _table(kind: str, init: int, transductive: bool, run: HeldOut, trials: Trials) -> pd.DataFrame:
    return trials.windows[["identity", "person", "fold", "recording_id", "start", "label"]].assign(
        features=kind,
        init=init,
        transductive=transductive,
        predicted=np.array(trials.classes)[run.predicted],
        score=run.scores,
    )


def _metrics(rows: Mapping[bool, Mapping[str, PersonScores]], params: ProbeParams) -> dict[str, Any]:
    def described(scores: PersonScores) -> dict[str, Any]:
        return scores.to_dict(n_bootstrap=params.n_bootstrap, seed=params.seed)

    metrics = {kind: described(scores) for kind, scores in rows[False].items()}
    metrics["paired_difference"] = compare(rows[False])
    if True in rows:
        for kind, scores in rows[True].items():
            metrics[kind]["transductive"] = described(scores)
        metrics["paired_difference"]["transductive"] = compare(rows[True])
    return metrics


def _log(metrics: Mapping[str, Any]) -> None:
    for kind in ("pretrained", "untrained", "band_power"):
        score = metrics[kind]["balanced_accuracy"]
        low, high = score["interval_95"]
        logger.info("Probe, %s: balanced accuracy %.3f (%.3f-%.3f)", kind, score["pooled"], low, high)
