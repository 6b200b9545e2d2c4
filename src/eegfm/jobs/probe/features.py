"""Compute the features that a probe compares: trained encoder, untrained twins, and controls without an encoder."""

from collections.abc import Iterable
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.encoders.layer_features import refuse_without_layers
from eegfm.evaluation.config import ControlKind, ProbeParams
from eegfm.evaluation.controls import control_features
from eegfm.inference.backbone import Backbone, load_backbone, untrained_backbone_like
from eegfm.inference.compatibility import check_channels
from eegfm.jobs.probe.compatibility import check_windows
from eegfm.jobs.probe.encoder_features import encoder_features_of
from eegfm.jobs.probe.trials import Trials
from eegfm.store.reader import SignalStore
from eegfm.windows.answers import without_answers

MAJORITY: ControlKind = "majority"

FeatureSets = dict[str, list[NDArray[np.float32]]]
"""By kind (``pretrained``, ``untrained`` and the controls), the features of each initialisation: (W, F), or (W, L, F)
of the layers that a probe chooses from."""


def all_features(checkpoint: Checkpoint, store: SignalStore, trials: Trials, params: ProbeParams) -> FeatureSets:
    """Compute the features of all windows of a task: trained, untrained and of controls without an encoder.

    Answers are taken off the windows first, so that no feature can know them.

    Raises:
        CheckpointError: The encoder does not fit the windows, was made by other code, or a feature is not finite.
        ConfigError: A GPU is asked for and none is there.
        SplitError: See ``encoder_features_of``.
        StoreError: Stored samples differ from their checksums.
        TrainingError: bfloat16 is requested on a CPU that computes it wrong.
    """
    backbones, fit = _backbones(checkpoint, spec_of(store, trials.windows), trials, params), trials.task.fit
    drawn: dict[str, Any] = {"pooling": fit.pooling, "batch_size": params.batch_size}
    windows = without_answers(trials.windows)
    features = encoder_features_of(
        backbones, store, windows, layers=fit.layers, accelerator=params.accelerator, precision=params.precision,
        key="probe.", **drawn,
    )  # fmt: skip
    rereference = backbones["pretrained 0"].rereference
    controls = control_features(store, windows, rereference, controls_of(trials), **drawn)
    return {
        "pretrained": [features["pretrained 0"]],
        "untrained": [features[f"untrained {k}"] for k in range(params.n_untrained)],
        **{kind: [values] for kind, values in controls.items()},
    }


def controls_of(trials: Trials) -> tuple[ControlKind, ...]:
    """Controls of a task. Without features, no moment can be found: that is chance."""
    kinds: tuple[ControlKind, ...] = get_args(ControlKind)
    return tuple(kind for kind in kinds if kind != MAJORITY or trials.task.asked.kind == "answer")


def with_same_features(all_trials: Iterable[Trials]) -> list[list[Trials]]:
    """Tasks that have the same windows, pooling, layers and kind, so that their features are computed once."""
    groups: dict[tuple[Any, ...], list[Trials]] = {}
    for trials in all_trials:
        named = trials.windows[["recording_id", "start", "n_samples"]]
        hashed = pd.util.hash_pandas_object(named, index=False).to_numpy().tobytes()
        fit, kind = trials.task.fit, trials.task.asked.kind
        groups.setdefault((trials.task.corpus, fit.pooling, fit.layers, kind, hashed), []).append(trials)
    return list(groups.values())


def check_encoder(header: CheckpointHeader, backbone: Backbone, trials: Trials) -> None:
    """Refuse windows or channels that an encoder is not made for.

    Raises:
        CheckpointError: The length of the windows does not fit, or the channels have another order.
        ConfigError: Features of several layers are asked for, and the encoder has no layers; see ``layer_features``.
    """
    check_windows(header, backbone.encoder, trials.windows)
    if trials.task.fit.layers != "last":
        refuse_without_layers(backbone.encoder)
    if backbone.encoder.traits.one_montage:
        check_channels(header, backbone.encoder_spec.montages)


def _backbones(checkpoint: Checkpoint, spec: SignalSpec, trials: Trials, params: ProbeParams) -> dict[str, Backbone]:
    """Build the trained backbone and its untrained twins.

    Raises:
        CheckpointError: The encoder does not fit the windows, or was made by other code.
    """
    trained = load_backbone(checkpoint, spec, accept_other_code=params.accept_other_code, key="probe.accept_other_code")
    check_encoder(checkpoint.header, trained, trials)
    twins = (untrained_backbone_like(checkpoint, spec, params.untrained_seed + k) for k in range(params.n_untrained))
    return {"pretrained 0": trained} | {f"untrained {k}": twin for k, twin in enumerate(twins)}


def spec_of(store: SignalStore, windows: pd.DataFrame) -> SignalSpec:
    """Describe the probed windows for the adapter. An encoder is built from its checkpoint alone."""
    longest = windows.groupby("montage")["n_samples"].max()
    names = [str(name) for name in longest.index]
    return SignalSpec(
        store.rate_hz, {name: store.montages[name] for name in names}, {name: int(longest[name]) for name in names}
    )
