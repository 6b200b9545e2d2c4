"""Compute the features that a probe compares: trained encoder, untrained twins, and band power."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.features import band_power_features, encoder_features, extract_features
from eegfm.inference.backbone import Backbone, load_backbone, untrained_backbone_like
from eegfm.inference.compatibility import check_channels
from eegfm.jobs.probe.compatibility import check_windows
from eegfm.jobs.probe.trials import Trials
from eegfm.nn.device import refuse_missing_gpu
from eegfm.store.reader import SignalStore

FeatureSets = dict[str, list[NDArray[np.float32]]]
"""(W, F) features of each initialisation, by kind (``pretrained``, ``untrained``, ``band_power``)."""


def all_features(checkpoint: Checkpoint, store: SignalStore, trials: Trials, params: ProbeParams) -> FeatureSets:
    """Compute the features of all windows of a task: trained, untrained and band power.

    Raises:
        CheckpointError: The encoder does not fit the windows, was made by other code, or a feature is not finite.
        SplitError: See ``extract_features``.
        StoreError: Stored samples differ from their checksums.
    """
    device, backbones = _device(params), _backbones(checkpoint, spec_of(store, trials), trials, params)
    rereference = backbones["pretrained 0"].rereference
    extractors = {name: encoder_features(backbone.to(device)) for name, backbone in backbones.items()}
    extractors["band_power 0"] = band_power_features(rereference, store.rate_hz)
    features = extract_features(
        store,
        trials.windows,
        extractors,
        pooling=trials.task.fit.pooling,
        batch_size=params.batch_size,
        device=device,
    )
    return {
        "pretrained": [features["pretrained 0"]],
        "untrained": [features[f"untrained {k}"] for k in range(params.n_untrained)],
        "band_power": [features["band_power 0"]],
    }


def with_same_features(all_trials: Iterable[Trials]) -> list[list[Trials]]:
    """Tasks that have the same windows and pooling, so that their features are computed once."""
    groups: dict[tuple[Any, ...], list[Trials]] = {}
    for trials in all_trials:
        named = trials.windows[["recording_id", "start", "n_samples"]]
        hashed = pd.util.hash_pandas_object(named, index=False).to_numpy().tobytes()
        groups.setdefault((trials.task.corpus, trials.task.fit.pooling, hashed), []).append(trials)
    return list(groups.values())


def check_encoder(header: CheckpointHeader, backbone: Backbone, trials: Trials) -> None:
    """Refuse windows or channels that an encoder is not made for.

    Raises:
        CheckpointError: The length of the windows does not fit, or the channels have another order.
    """
    check_windows(header, backbone.encoder, trials.windows)
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


def spec_of(store: SignalStore, trials: Trials) -> SignalSpec:
    """Describe the probed windows for the adapter. An encoder is built from its checkpoint alone."""
    longest = trials.windows.groupby("montage")["n_samples"].max()
    names = [str(name) for name in longest.index]
    return SignalSpec(
        store.rate_hz, {name: store.montages[name] for name in names}, {name: int(longest[name]) for name in names}
    )


def _device(params: ProbeParams) -> torch.device:
    if params.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if params.device == "cuda":
        refuse_missing_gpu("probe.device", params.device)
    return torch.device(params.device)
