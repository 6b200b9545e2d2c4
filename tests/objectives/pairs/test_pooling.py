"""Features of channels around places of the scalp, against sums written out in loops."""

import numpy as np
import pytest
import torch
from torch import Tensor

from eegfm.batch import WindowBatch
from eegfm.encoders.base import Features
from eegfm.encoders.config import EegnetConfig, LabramConfig, LunaConfig
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import ConfigError
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.config import ContrastiveConfig
from eegfm.objectives.pairs.config import ProjectionConfig
from eegfm.objectives.pairs.pooling import MeanPooling, SitePooling, new_pooling
from latent_windows import N_CHANNELS, SMALL, backbone, windows

B, X, S = 4, 6, 3


def features(mask: Tensor | None = None) -> Features:
    there = torch.ones(B, N_CHANNELS, dtype=torch.bool) if mask is None else mask
    return Features(torch.randn(B, N_CHANNELS, X, generator=torch.Generator().manual_seed(1)), there)


def sites(channels_per_token: int = 1) -> SitePooling:
    torch.manual_seed(0)
    return SitePooling(S, X, channels_per_token)


def in_order(batch: WindowBatch, order: list[int]) -> WindowBatch:
    return {**batch, "channel_positions": batch["channel_positions"][:, order]}


def test_every_site_is_a_mean_over_the_channels_that_are_there() -> None:
    mask = torch.ones(B, N_CHANNELS, dtype=torch.bool)
    mask[0, [1, 3]] = False
    given, pooling = features(mask), sites()
    found = pooling(given, windows(B)).view(B, S, X).detach().numpy()
    logits = 4 * pooling.sites(pooling.places(windows(B)["channel_positions"][0])).detach().double().numpy()
    for b in range(B):
        there = np.flatnonzero(mask[b].numpy())
        for s in range(S):
            weights = np.exp(logits[there, s]) / np.exp(logits[there, s]).sum()
            expected = sum(w * given.values[b, c].double().numpy() for w, c in zip(weights, there, strict=True))
            np.testing.assert_allclose(found[b, s], expected, atol=1e-5)


def test_what_absent_channels_hold_and_the_order_of_channels_change_nothing() -> None:
    mask = torch.ones(B, N_CHANNELS, dtype=torch.bool)
    mask[:, 2] = False
    given, pooling, order = features(mask), sites(), [*range(N_CHANNELS)][::-1]
    found = pooling(given, windows(B))
    given.values[:, 2] = 1e6
    torch.testing.assert_close(pooling(given, windows(B)), found)
    turned = Features(given.values[:, order], mask[:, order])
    torch.testing.assert_close(pooling(turned, in_order(windows(B), order)), found)


def test_sites_see_what_the_mean_over_all_channels_loses() -> None:
    """Against the average reference, channels add up to zero."""
    values = torch.randn(B, N_CHANNELS, X, generator=torch.Generator().manual_seed(1))
    given = Features(values - values.mean(dim=1, keepdim=True), features().mask)
    assert MeanPooling(X)(given, windows(B)).abs().max() < 1e-6
    assert sites()(given, windows(B)).std() > 0.05


@pytest.mark.parametrize(
    ("encoder", "is_of_sites"),
    [
        (SMALL, True),
        (SMALL.model_copy(update={"n_registers": 1, "summary": "register"}), False),
        (LabramConfig(n_layers=1, n_maps=4, n_heads=5), True),
        (LabramConfig(n_layers=1, n_maps=4, n_heads=5, summary="cls"), False),
        (LunaConfig(n_layers=1, n_queries=2), False),
        (EegnetConfig(), False),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_encoders_of_whole_windows_have_nothing_to_pool(encoder: EncoderConfig, is_of_sites: bool) -> None:
    made = backbone(encoder).encoder
    given = made.features({**windows(2), "signal_uv": windows(2)["signal"]})
    assert made.has_rows is is_of_sites is (given.values.shape[1] > 1)
    pooling = new_pooling(S, made)
    assert isinstance(pooling, SitePooling if is_of_sites else MeanPooling)
    assert pooling(given, windows(2)).shape == (2, pooling.n_values)
    assert isinstance(new_pooling(0, made), MeanPooling)
    facts = EncoderFacts.of(encoder)
    for n_sites in (0, ProjectionConfig().sites, 5):
        config = ContrastiveConfig(projection=ProjectionConfig(sites=n_sites))
        if n_sites == 5 and not is_of_sites:
            with pytest.raises(
                ConfigError, match=rf"^objective\.projection\.sites is 5, and encoder {encoder.name} .*out$"
            ):
                config.check_encoder(facts)
        else:
            config.check_encoder(facts)
