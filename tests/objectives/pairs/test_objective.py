"""What the objectives on pairs compare: one vector for each window, and its projection."""

from typing import Any

import numpy as np
import pytest
import torch

from eegfm.encoders.config import EegnetConfig, LunaConfig
from eegfm.encoders.traits import EncoderConfig
from eegfm.nn.context import Context
from eegfm.objectives.config import ContrastiveConfig, IscConfig
from eegfm.objectives.pairs.config import ProjectionConfig
from eegfm.objectives.pairs.objective import new_projection
from latent_windows import SMALL, build, paired

NARROW = {"projection": {"hidden": 12, "out": 6}}


@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
def test_a_projection_is_two_maps_with_a_norm_and_gelu_between(norm: Any) -> None:
    projection = new_projection(ProjectionConfig(hidden=12, out=6, norm=norm), 5)
    features = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    first, last = (projection[k].weight.detach().double().numpy() for k in (0, 3))
    hidden = features.double().numpy() @ first.T + projection[0].bias.detach().double().numpy()
    axis = {"layer": 1, "batch": 0}.get(norm)
    if axis is not None:
        spread = np.sqrt(hidden.var(axis=axis, keepdims=True) + 1e-5)
        hidden = (hidden - hidden.mean(axis=axis, keepdims=True)) / spread
    erf = torch.erf(torch.from_numpy(hidden) / 2**0.5).numpy()
    expected = hidden * (1 + erf) / 2 @ last.T + projection[3].bias.detach().double().numpy()
    np.testing.assert_allclose(projection(features).detach().numpy(), expected, atol=1e-6)


def test_one_vector_stands_for_a_window_whatever_channels_are_absent() -> None:
    """It is the mean over the channels that are there, and what the others hold does not matter."""
    objective, batch = build(ContrastiveConfig(augment=(), **NARROW)), paired()
    mask = torch.ones(batch["signal"].shape[:2], dtype=torch.bool)
    mask[0, [1, 3]] = False
    batch["channel_mask"] = mask
    found = objective.embed(batch, Context())
    values = objective.encoder.encode_with_features(objective.windows(batch, Context())).features.values
    torch.testing.assert_close(found.features[0], values[0, [0, 2, 4]].mean(dim=0))
    torch.testing.assert_close(found.features[1], values[1].mean(dim=0))
    noisy = batch["signal"].clone()
    noisy[0, [1, 3]] = 500.0
    torch.testing.assert_close(objective.embed({**batch, "signal": noisy}, Context()).features, found.features)


@pytest.mark.parametrize("config", [ContrastiveConfig(**NARROW), IscConfig(**NARROW)], ids=lambda config: config.name)
@pytest.mark.parametrize("encoder", [SMALL, LunaConfig(n_layers=1, n_queries=2), EegnetConfig()], ids=lambda e: e.name)
def test_encoders_of_patches_and_of_windows_learn(config: Any, encoder: EncoderConfig) -> None:
    objective = build(config, encoder)
    output = objective(paired(6), Context())
    output.loss.backward()
    assert torch.isfinite(output.loss)
    lacking = [name for name, p in objective.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    # What a norm over the batch follows, or the vector of one query, has none.
    assert [name for name in lacking if name.startswith("projection")] == []
    assert any(name.startswith("backbone.encoder") and name not in lacking for name, _ in objective.named_parameters())


def test_what_is_thrown_away_is_the_projection_alone() -> None:
    objective = build(ContrastiveConfig(learned_temperature=True, complementary_ratio=0.5, **NARROW))
    own = {name.partition(".")[0] for name in objective.own_state()}
    assert own == {"projection", "log_sharpness", "hidden_token"}
