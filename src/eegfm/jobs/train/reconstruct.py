"""Reconstruct a few windows with a trained objective."""

from typing import Any

import torch

from eegfm.jobs.train.data import TrainingData
from eegfm.nn.context import Context, Stage
from eegfm.objectives.base import Objective, Reconstructs
from eegfm.store.stores import Stores
from eegfm.training.loading.loader import gather, subsample_evenly

_N_RECONSTRUCTED = 4


def reconstruct(objective: Objective, data: TrainingData, stores: Stores, seed: int) -> dict[str, dict[str, Any]]:
    """Reconstruct a few windows of each corpus, spread over its persons, on the CPU."""
    shown: dict[str, dict[str, Any]] = {}
    if not isinstance(objective, Reconstructs):
        return shown
    encoder_spec = objective.backbone.encoder_spec
    context = Context(seed=seed, stage=Stage.RECONSTRUCTION, corpora=tuple(sorted(data.weights)))
    for corpus, groups in sorted(data.shown.items()):
        draw = subsample_evenly(groups[:1], _N_RECONSTRUCTED)[0]
        fields = objective.reconstruct(gather(draw, stores[corpus]), context)
        plain = {name: v.numpy() if isinstance(v, torch.Tensor) else v for name, v in fields.items()}
        shown[corpus] = {
            **plain,
            "channel_names": list(encoder_spec.montages[draw.group.montage].channel_names),
            "rate_hz": data.spec.rate_hz,
            "patch_samples": objective.encoder.patch_samples,
        }
    return shown
