"""Fit the controls of a finetuning: what is said without training an encoder, by the same protocol.

Shapes: W windows of the task, T test windows of a division, F features.
"""

import logging
from functools import partial
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.evaluation.config import ControlKind, FitParams, Pooling
from eegfm.evaluation.controls import control_features
from eegfm.evaluation.features import zscore_per_person
from eegfm.evaluation.target_rows import predict_targets
from eegfm.inference.backbone import Backbone, load_backbone, rereference_for, untrained_backbone_like
from eegfm.inference.channels_left import with_channels_left
from eegfm.jobs.finetune.audit import Audit, audit_of
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.divisions import Division
from eegfm.jobs.finetune.said import Said, TestWindows
from eegfm.jobs.finetune.trained import FINETUNED, spec_of_windows
from eegfm.jobs.probe.encoder_features import encoder_features_of
from eegfm.splits.leakage import TRAINED
from eegfm.store.reader import SignalStore
from eegfm.targets import TargetSpec
from eegfm.windows.answers import checked_answers, without_answers
from eegfm.windows.runs import expand

logger = logging.getLogger(__name__)

PROBE, UNTRAINED = "frozen_ridge", "untrained_ridge"
Chosen = dict[str, list[dict[str, Any]]]
"""By model, a row per initialisation and division: ``init``, ``division``, and for each of ``outputs`` what was
chosen, by name of the option."""
GAPS = (PROBE, "band_power", "relative_band_power", "log_covariance")
"""Controls that tell what z-scores per person gain."""


class Controls:
    """Compute the features of all windows of a task, once, for the divisions to fit and to predict.

    Args:
        key: Name of the task, for messages.
        target: What is asked.
        windows: Runs of its windows that have an answer.
        store: Signals of the corpus.
        start: The encoder.
        params: All choices.
        closed: Fit of the strategy, where it is a closed form; its answers are those of the finetuned model.
    """

    def __init__(
        self,
        key: str,
        target: TargetSpec,
        windows: pd.DataFrame,
        store: SignalStore,
        start: Checkpoint,
        params: FinetuneParams,
        closed: FitParams | None = None,
    ) -> None:
        stores = {str(corpus): store for corpus in windows["corpus"].unique()}
        kept = with_channels_left(windows, stores, partial(rereference_for, start.header))
        self.windows = expand(kept).sort_values(["recording_id", "start"], ignore_index=True)
        self.target, self._params, self._closed = target, params, closed
        self.truths = checked_answers(self.windows, target, f"task {key}", to_learn=False)
        logger.info("%s: features of %d windows for the controls", key, len(self.windows))
        self.features = _features(self.windows, store, start, params, closed)

    def add_to(self, said: Said, division: Division, zscored: Said | None = None) -> Chosen:
        """Fit the controls on training and selecting persons of a division, and let them answer its test windows.

        Args:
            said: Where the answers go.
            division: Who is trained on and tested.
            zscored: Where answers by features z-scored per person go, of the controls of ``GAPS``; None for none.

        Returns:
            By model, for each initialisation, what was chosen on the training and selecting persons.
        """
        chosen: Chosen = {}
        rows, persons, train = divided(self.windows, division)
        places = _places(rows, said.tests[division.name].windows)
        test = np.zeros(len(rows), dtype=bool)
        test[places] = True
        order = np.argsort(np.argsort(places))  # answers come in the order of ``rows``
        for name, inits in self.features.items():
            for init, features in enumerate(inits):
                fit = self._closed if name == FINETUNED and self._closed is not None else self._params.fit
                answers, found = predict_targets(features, self.truths, self.target, persons, train, test, fit)
                said.add(name, init, division.name, answers[order])
                outputs = [{key: float(value) for key, value in output.items()} for output in found]
                if any(outputs):
                    row = {"init": init, "division": division.name, "outputs": outputs}
                    chosen.setdefault(name, []).append(row)
            if zscored is not None and name in GAPS:
                own = zscore_per_person(inits[0], persons)
                answers, _ = predict_targets(own, self.truths, self.target, persons, train, test, self._params.fit)
                zscored.add(name, 0, division.name, answers[order])
        return chosen

    def audits(self, test: TestWindows) -> dict[str, list[Audit]]:
        """Audit the features of test windows by control, initialisation by initialisation."""
        places = _places(self.windows, test.windows)
        return {
            name: [audit_of(features[places], test, self.target) for features in inits]
            for name, inits in self.features.items()
        }


def divided(windows: pd.DataFrame, division: Division) -> tuple[pd.DataFrame, NDArray[np.int64], NDArray[np.bool_]]:
    """Tell who is fitted on.

    Returns:
        The windows with ``identity`` and ``split``, (W,) numbers of their persons, and (W,) True for those of training
        and selecting persons.
    """
    rows = windows.merge(division.splits[["person", "identity", "split"]], on="person", how="left")
    assert len(rows) == len(windows), "a person has one row in the splits"
    persons = np.unique(rows["identity"].to_numpy(dtype=str), return_inverse=True)[1]
    return rows, persons, rows["split"].isin(TRAINED).to_numpy()


def _features(
    windows: pd.DataFrame, store: SignalStore, start: Checkpoint, params: FinetuneParams, closed: FitParams | None
) -> dict[str, list[NDArray[np.float32]]]:
    windows = without_answers(windows)
    spec, fit = spec_of_windows(windows, store), params.fit
    drawn: dict[str, Any] = {"pooling": pooling_of(windows, fit), "batch_size": params.predict_batch_size}
    machine: dict[str, Any] = {
        "accelerator": params.accelerator, "precision": params.precision, "key": "finetune.",
    }  # fmt: skip
    trained = load_start(start, spec, params)
    backbones = {f"{PROBE} 0": trained}
    for k in range(params.n_untrained):
        backbones[f"{UNTRAINED} {k}"] = untrained_backbone_like(start, spec, params.untrained_seed + k)
    found = encoder_features_of(backbones, store, windows, layers="last", **drawn, **machine)
    finetuned = {}
    if closed is not None:
        asked = {**drawn, "pooling": pooling_of(windows, closed), **machine}
        finetuned = encoder_features_of({FINETUNED: trained}, store, windows, layers=closed.layers, **asked)
    controls = control_features(store, windows, trained.rereference, get_args(ControlKind), **drawn)
    return {
        **{name: [values] for name, values in finetuned.items()},
        PROBE: [found[f"{PROBE} 0"]],
        UNTRAINED: [found[f"{UNTRAINED} {k}"] for k in range(params.n_untrained)],
        **{name: [values] for name, values in controls.items()},
    }


def load_start(start: Checkpoint, spec: SignalSpec, params: FinetuneParams) -> Backbone:
    """Rebuild the encoder that is started from, with the exceptions that the trainings make for its weights.

    Raises:
        ConfigError: It does not fit the montages.
        CheckpointError: Its weights do not fit, or other code made them and that is not accepted.
    """
    return load_backbone(
        start,
        spec,
        accept_other_code=params.load.accept_other_code,
        key="finetune.load.accept_other_code",
        exceptions=params.load.exceptions,
    )


def pooling_of(windows: pd.DataFrame, fit: FitParams) -> Pooling:
    """Return how features are pooled over channels: windows of several montages have no common channels."""
    return "mean" if windows["montage"].nunique() > 1 else fit.pooling


def _places(rows: pd.DataFrame, tested: pd.DataFrame) -> NDArray[np.int64]:
    """Return (T,) numbers of the test windows among all windows of the task."""
    keys = ["recording_id", "start"]
    numbered = rows[keys].assign(place=np.arange(len(rows)))
    places = tested[keys].merge(numbered, on=keys, how="left")["place"]
    assert places.notna().all(), "test windows are windows of the task"
    assert len(places) == len(tested), "a window stands once in the table"
    return places.to_numpy(dtype=np.int64)
