"""Probe a frozen encoder on persons it has never seen, beside the controls of every result."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from eegfm.adapters.load import build_adapter, untrained_adapter_like
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.encoders.load import build_encoder, untrained_like
from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.crossval import HeldOut, predict_held_out
from eegfm.evaluation.features import (
    Extractor,
    band_power_features,
    encoder_features,
    extract_features,
    zscore_per_person,
)
from eegfm.evaluation.linear import Ints
from eegfm.evaluation.summary import PersonScores, compare
from eegfm.inference.backbone import rereference_for
from eegfm.inference.channels_left import with_channels_left
from eegfm.inference.encoder_code import refuse_other_code
from eegfm.jobs.probe.compatibility import check_channels, check_signals, check_windows
from eegfm.jobs.probe.exposure import Exposure, refuse_pretrained
from eegfm.splits.leakage import SplitTable
from eegfm.store.reader import SignalStore
from eegfm.windows.runs import expand

logger = logging.getLogger(__name__)

FeatureSets = dict[str, list[NDArray[np.float32]]]
"""(W, F) features of each initialisation, by kind (``pretrained``, ``untrained``, ``band_power``)."""


@dataclass(frozen=True)
class ProbeResult:
    """Numbers for the report and the predictions behind them.

    Args:
        metrics: JSON-ready.
        predictions: One row per window, kind of features, initialisation and row (inductive or transductive).
    """

    metrics: dict[str, Any]
    predictions: pd.DataFrame


@dataclass(frozen=True)
class _Trials:
    """Windows to classify, in a fixed order, with numbers of classes, persons (identities) and folds."""

    windows: pd.DataFrame
    classes: tuple[str, ...]
    truth: Ints
    names: tuple[str, ...]
    persons: Ints
    folds: Ints


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
    other_code = refuse_other_code(checkpoint.header, accept=params.accept_other_code, key="probe.accept_other_code")
    split_table = SplitTable(splits)
    check_signals(checkpoint.header, store)
    trials = _test_trials(windows, splits, params, partial(_with_channels_left, store, checkpoint.header))
    split_table.check_test(trials.windows)
    exposure = _exposure(split_table, splits, trials, store, checkpoint.header, params)
    features = _all_features(checkpoint, store, trials, params)
    rows: dict[bool, dict[str, PersonScores]] = {}
    tables = []
    for transductive in (False, True) if params.transductive else (False,):
        rows[transductive] = {}
        for kind, inits in features.items():
            runs = [_run(values, trials, params, transductive=transductive) for values in inits]
            tables += [_table(kind, k, transductive, run, trials) for k, run in enumerate(runs)]
            rows[transductive][kind] = PersonScores(
                runs, trials.truth, trials.persons, trials.names, len(trials.classes)
            )
    metrics = _metrics(rows, params)
    metrics["protocol"] = _protocol(
        checkpoint.header,
        trials,
        params,
        exposure=exposure,
        splits_sha256=split_table.sha256,
        is_simulated=store.is_simulated,
    ) | {"other_code": other_code}
    _log(metrics)
    return ProbeResult(metrics, pd.concat(tables, ignore_index=True))


def _with_channels_left(store: SignalStore, header: CheckpointHeader, windows: pd.DataFrame) -> pd.DataFrame:
    stores = {str(corpus): store for corpus in windows["corpus"].unique()}
    return with_channels_left(windows, stores, partial(rereference_for, header))


def _test_trials(
    windows: pd.DataFrame,
    splits: pd.DataFrame,
    params: ProbeParams,
    usable: Callable[[pd.DataFrame], pd.DataFrame],
) -> _Trials:
    """Usable labelled windows of the task whose persons are in split ``test``."""
    of_task = windows[(windows["cut"] == params.task) & windows["label"].notna()]
    unknown = sorted(set(of_task["person"]) - set(splits["person"]))
    if unknown:
        raise SplitError(f"{len(unknown)} persons have windows but no split (first: {unknown[0]}); split again")
    tested = splits[splits["split"] == "test"]
    kept = expand(usable(of_task.merge(tested[["person", "identity", "fold"]], on="person")))
    kept = kept.sort_values(["identity", "person", "recording_id", "start"], ignore_index=True)
    names, persons = np.unique(kept["identity"].to_numpy(dtype=str), return_inverse=True)
    # Cutting ensured that each class of the task has windows in the corpus, so all splits together have all classes.
    classes = np.unique(of_task["label"].to_numpy(dtype=str))
    n_needed = 3 if len(params.lambdas) > 1 else 2
    if len(names) < n_needed or len(classes) < 2:
        raise SplitError(
            f"task {params.task!r}: {len(kept)} labelled windows of {len(names)} test persons in classes "
            f"{list(map(str, classes))} ({of_task['n_windows'].sum()} windows of {of_task['person'].nunique()} persons "
            f"in all splits); at least {n_needed} persons and 2 classes are needed, one person held out and the others "
            "to train on and to choose the penalty"
        )
    _refuse_absent_class(params.task, classes, of_task, kept)
    truth = np.searchsorted(classes, kept["label"].to_numpy(dtype=str))
    _refuse_empty_fold(kept, tested)
    folds = np.unique(kept["fold"].to_numpy(), return_inverse=True)[1]
    return _Trials(kept, tuple(map(str, classes)), truth, tuple(map(str, names)), persons, folds)


def _refuse_absent_class(task: str, classes: Iterable[str], of_task: pd.DataFrame, kept: pd.DataFrame) -> None:
    """Refuse a class of the task that no test person has. A probe of the other classes would be another task.

    Raises:
        SplitError: Gives the number of windows of each class, for the test persons and for all persons.
    """
    n_all = of_task["n_windows"].groupby(of_task["label"].astype("str")).sum()
    n_kept = kept["label"].value_counts().reindex(n_all.index, fill_value=0)
    absent = [str(name) for name in classes if not n_kept[name]]
    if absent:
        per_class = ", ".join(f"{name} {n_kept[name]} of {n_all[name]}" for name in classes)
        raise SplitError(
            f"task {task!r}: no test person has a window of class {', '.join(map(repr, absent))} (windows of "
            f"test persons, of those in all splits: {per_class}); raise split.test_ratio, choose another "
            "split.salt, or cut a task without that class"
        )


def _refuse_empty_fold(trials: pd.DataFrame, tested: pd.DataFrame) -> None:
    """Refuse a fold of several persons without a window. A fold of one person without a window is harmless.

    Raises:
        SplitError: Gives the number of windows in each fold.
    """
    folds = tested.drop_duplicates("identity")["fold"]
    n_windows = trials["fold"].value_counts().reindex(sorted(set(folds)), fill_value=0)
    is_one_each = not folds.duplicated().any()
    if (n_windows > 0).sum() < 2 or (not is_one_each and (n_windows == 0).any()):
        raise SplitError(
            f"labelled windows per fold: {n_windows.tolist()}; every fold needs some, and there must be two; lower "
            "split.folds or choose another salt"
        )


def _exposure(
    split_table: SplitTable,
    splits: pd.DataFrame,
    trials: _Trials,
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


def _all_features(checkpoint: Checkpoint, store: SignalStore, trials: _Trials, params: ProbeParams) -> FeatureSets:
    device = _device(params)
    seeds = [params.untrained_seed + k for k in range(params.n_untrained)]
    spec = _spec_of(store, trials)
    rereference = rereference_for(checkpoint.header, spec.montages)
    spec = rereference.rereferenced_spec(spec)
    adapter = build_adapter(checkpoint, spec)
    montages = adapter.adapted_spec(spec).montages
    trained = build_encoder(checkpoint, montages)
    check_windows(checkpoint.header, trained, trials.windows)
    if trained.traits.one_montage:
        check_channels(checkpoint.header, montages)
    models = {("pretrained", 0): (adapter, trained)}
    for k, seed in enumerate(seeds):
        models["untrained", k] = (
            untrained_adapter_like(checkpoint, spec, seed),
            untrained_like(checkpoint, seed, montages),
        )
    extractors: dict[str, Extractor] = {
        f"{kind} {k}": encoder_features(adapter.to(device), encoder.to(device).float().eval())
        for (kind, k), (adapter, encoder) in models.items()
    }
    extractors["band_power 0"] = band_power_features(store.rate_hz)
    features = extract_features(
        store,
        rereference.to(device),
        trials.windows,
        extractors,
        pooling=params.pooling,
        batch_size=params.batch_size,
        device=device,
    )
    return {
        "pretrained": [features["pretrained 0"]],
        "untrained": [features[f"untrained {k}"] for k in range(params.n_untrained)],
        "band_power": [features["band_power 0"]],
    }


def _spec_of(store: SignalStore, trials: _Trials) -> SignalSpec:
    """Signal specification of the probed data for the adapter. The encoder is built from its checkpoint alone."""
    longest = trials.windows.groupby("montage")["n_samples"].max()
    names = [str(name) for name in longest.index]
    return SignalSpec(
        store.rate_hz, {name: store.montages[name] for name in names}, {name: int(longest[name]) for name in names}
    )


def _device(params: ProbeParams) -> torch.device:
    if params.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(params.device)


def _run(features: NDArray[np.float32], trials: _Trials, params: ProbeParams, *, transductive: bool) -> HeldOut:
    values = zscore_per_person(features, trials.persons) if transductive else features
    return predict_held_out(values, trials.truth, trials.persons, trials.folds, len(trials.classes), params)


def _table(kind: str, init: int, transductive: bool, run: HeldOut, trials: _Trials) -> pd.DataFrame:
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


def _protocol(
    header: CheckpointHeader,
    trials: _Trials,
    params: ProbeParams,
    *,
    exposure: Exposure,
    splits_sha256: str,
    is_simulated: bool,
) -> dict[str, Any]:
    """Protocol of the probe, complete enough to repeat and to judge it."""
    asked = params.identity()
    counts = np.bincount(trials.truth, minlength=len(trials.classes))
    return {
        **asked,
        "classes": list(trials.classes),
        "corpora": sorted(set(trials.windows["corpus"])),
        "simulated": is_simulated,
        "n_windows": len(trials.windows),
        "n_windows_per_class": dict(zip(trials.classes, counts.tolist(), strict=True)),
        "n_persons": len(trials.names),
        "identities": list(trials.names),
        "n_folds": int(trials.folds.max()) + 1,
        **exposure.to_dict(),
        "splits_sha256": splits_sha256,
        "bad_channels": header.bad_channels,
        "pretraining": {
            "phase": header.phase,
            "fingerprint": header.fingerprint,
            "corpora": header.corpora,
            "simulated": [corpus in header.simulated_corpora for corpus in header.corpora],
            "seed": header.seed,
            "n_steps": header.n_steps,
            "splits_sha256": header.splits_sha256,
            "mixture_sha256": header.mixture_sha256,
            "license": header.license,
            "imported": header.imported.model_dump(mode="json") if header.imported else None,
            "parents": [parent.model_dump(mode="json") for parent in header.parents],
        },
        "versions": {name: version(name) for name in ("eegfm", "numpy", "scipy", "torch")},
    }


def _log(metrics: Mapping[str, Any]) -> None:
    for kind in ("pretrained", "untrained", "band_power"):
        score = metrics[kind]["balanced_accuracy"]
        low, high = score["interval_95"]
        logger.info("Probe, %s: balanced accuracy %.3f (%.3f-%.3f)", kind, score["pooled"], low, high)
