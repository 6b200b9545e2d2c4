"""Windows of the 10-20 system, and what targets are computed from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from backbones import WindowBackbone
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.nn.context import Stage
from eegfm.objectives.patches.targets.base import Asked, Source, Target
from eegfm.objectives.patches.targets.config import TargetBase
from eegfm.signal.montages.canonical import canonical_montage

MONTAGE = canonical_montage("1020_19")
B, C, T, PATCH = 3, 19, 400, 100


def spec(n_samples: int = T, rate_hz: float = 100.0) -> SignalSpec:
    return SignalSpec(rate_hz, {MONTAGE.name: MONTAGE}, {MONTAGE.name: n_samples})


@pytest.fixture
def source() -> Callable[..., Source]:
    def make(of: Any = "microvolts", high_hz: float = 45.0, n_samples: int = T, **more: Any) -> Source:
        own = spec(n_samples)
        encoder = new_encoder(PatchTransformerConfig(d_model=16, head_size=8, n_layers=1), own, seed=0)
        return Source(WindowBackbone(encoder, own), of, high_hz, **more)

    return make


@pytest.fixture
def windows() -> Callable[..., WindowBatch]:
    def make(seed: int = 0, n_windows: int = B, bad: dict[int, list[int]] | None = None, **more: Any) -> WindowBatch:
        mask = torch.ones(n_windows, C, dtype=torch.bool)
        for window, channels in (bad or {}).items():
            mask[window, channels] = False
        loud = torch.linspace(5, 40, C).view(C, 1)
        return {
            "signal": loud * torch.randn(n_windows, C, T, generator=torch.Generator().manual_seed(seed)),
            "channel_positions": torch.from_numpy(MONTAGE.positions()).expand(n_windows, -1, -1),
            "channel_mask": mask,
            "reference": "average",
            "recording": torch.zeros(n_windows, dtype=torch.int64),
            "corpus": "c",
            "montage": MONTAGE.name,
            **more,
        }

    return make


@pytest.fixture
def ask() -> Callable[..., Asked]:
    def make(source: Source, batch: WindowBatch, stage: Stage = Stage.TRAINING) -> Asked:
        return Asked.of(source, batch, source.backbone.prepare(batch), stage)

    return make


@pytest.fixture
def fitted(ask: Callable[..., Asked]) -> Callable[..., Target]:
    def make(config: TargetBase, source: Source, *batches: WindowBatch) -> Target:
        target: Target = config.build(source)
        for batch in batches:
            target.observe(ask(source, batch))
        target.finish()
        return target

    return make


def patches_of(batch: WindowBatch) -> NDArray[np.float64]:
    """(B, C, P, S) samples in float64."""
    signal = batch["signal"].double().numpy()
    return signal.reshape(*signal.shape[:2], -1, PATCH)
