"""What the objectives on pairs compare: one vector for each window, and its projection."""

from typing import Any

import pytest
import torch

from eegfm.encoders.config import EegnetConfig, LunaConfig
from eegfm.encoders.traits import EncoderConfig
from eegfm.nn.context import Context
from eegfm.objectives.config import ContrastiveConfig, IscConfig
from latent_windows import SMALL, build, paired

NARROW = {"projection": {"hidden": 12, "out": 6}}


@pytest.mark.parametrize("config", [ContrastiveConfig(**NARROW), IscConfig(**NARROW)], ids=lambda config: config.name)
@pytest.mark.parametrize("encoder", [SMALL, LunaConfig(n_layers=1, n_queries=2), EegnetConfig()], ids=lambda e: e.name)
def test_encoders_of_patches_and_of_windows_learn(config: Any, encoder: EncoderConfig) -> None:
    objective = build(config, encoder)
    output = objective(paired(6), Context())
    output.loss.backward()
    assert torch.isfinite(output.loss)
    lacking = [name for name, p in objective.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    # What a norm over the batch follows, or the vector of one query, has none.
    assert [name for name in lacking if name.startswith(("projection", "pooling"))] == []
    assert any(name.startswith("backbone.encoder") and name not in lacking for name, _ in objective.named_parameters())


def test_what_is_thrown_away_is_what_makes_vectors_of_features() -> None:
    objective = build(ContrastiveConfig(learned_temperature=True, complementary_ratio=0.5, **NARROW))
    own = {name.partition(".")[0] for name in objective.own_state()}
    assert own == {"pooling", "projection", "log_sharpness", "hidden_token"}
