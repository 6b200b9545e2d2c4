"""Losses under autocast: in float32, near those of float32, with finite gradients, through every adapter."""

import math

import pytest
import torch

from contracts.encoder_cases import MONTAGES, noise, spec_of
from contracts.masked_content import TARGETS
from eegfm.adapters.config import InterpolateConfig, NoAdapterConfig, PerceiverConfig, ZeroPadConfig
from eegfm.batch import StoredBatch
from eegfm.config import Buildable
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.inference.backbone import new_backbone
from eegfm.nn.context import Context, Stage
from eegfm.nn.weights import build_seeded
from eegfm.normalizations.config import RobustConfig, ZscoreConfig
from eegfm.objectives.config import MaeConfig, MaskedConfig, ObjectiveConfig
from eegfm.objectives.patches.targets.base import Asked

MONTAGE = MONTAGES[21]
ADAPTERS = [
    NoAdapterConfig(),
    InterpolateConfig(montage="1020_19"),
    ZeroPadConfig(montage="1010_64", unplaced="drop"),
    PerceiverConfig(montage="1020_19", patch_s=1.0),
]
OBJECTIVES = [
    MaskedConfig(allow_leaks=True, target=[target for target in TARGETS if target != "codes"], visible_weight=0.1),
    MaskedConfig(allow_leaks=True, target="signal", of="normalized"),
    MaeConfig(allow_leaks=True, target="signal"),
]


def stored() -> StoredBatch:
    shape = (3, 400, MONTAGE.n_channels)
    batch: StoredBatch = {
        "samples": (1000 * noise(shape, 1)).to(torch.int16),
        "scales_uv": torch.full((3, MONTAGE.n_channels), 0.02),
        "recording": torch.arange(3),
        "corpus": "tuh",
        "montage": MONTAGE.name,
        "is_bad": (torch.arange(3 * MONTAGE.n_channels).view(3, -1) == 5).numpy(),
    }
    return batch


@pytest.mark.parametrize("normalization", [None, RobustConfig(), ZscoreConfig()], ids=["own", "robust", "zscore"])
@pytest.mark.parametrize("asked", OBJECTIVES, ids=lambda c: f"{c.name}-{len(c.target)}-{c.target[0].name}")
@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda c: c.name)
def test_losses_stay_in_float32(adapter: Buildable, asked: ObjectiveConfig, normalization: Buildable | None) -> None:
    encoder = PatchTransformerConfig(d_model=16, head_size=8, n_layers=2)
    backbone = new_backbone(
        encoder, adapter, spec_of([MONTAGE], 2), 0, reference="average", bad_channels="mask",
        normalization=normalization,
    )  # fmt: skip
    objective = build_seeded(asked, 0, backbone)
    expected = objective(stored(), Context()).logs
    with torch.autocast("cpu", torch.bfloat16):
        loss, logs, _ = objective(stored(), Context())
        windows = backbone.prepare(stored())
        asked_of = Asked.of(objective._source, stored(), windows, Stage.TRAINING)
        dtypes = [target(asked_of).dtype for target in objective.targets.values()]
    assert {loss.dtype, *dtypes, *(value.dtype for value in logs.values())} == {torch.float32}
    # Targets do not know of the precision, and predictions are off by their rounding.
    assert float(logs["baseline_loss"]) == pytest.approx(float(expected["baseline_loss"]), rel=1e-6)
    assert float(loss.detach()) == pytest.approx(float(expected["loss"]), rel=0.02)
    loss.backward()
    assert all(math.isfinite(float(p.grad.sum())) for p in objective.parameters() if p.grad is not None)
