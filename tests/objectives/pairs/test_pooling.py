"""Features of channels around places of the scalp, against sums written out in loops."""

from typing import cast

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
from eegfm.objectives.pairs.pooling import SitePooling, new_pooling
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


@pytest.mark.parametrize("is_bipolar", [False, True], ids=["electrodes", "derivations"])
@pytest.mark.parametrize("is_padded", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("n_grouped", [1, 2, 3])
def test_every_site_is_a_mean_over_rows_at_the_mean_places_of_their_channels(
    n_grouped: int, is_padded: bool, is_bipolar: bool
) -> None:
    given, pooling = windows(B), sites(n_grouped)
    there = torch.ones(B, N_CHANNELS, dtype=torch.bool)
    if is_padded:  # a channel of a row, whole rows, and in one window nothing
        there[0, 0] = there[1, :3] = there[2, 4] = False
        given = {**given, "channel_mask": there}
    if is_bipolar:
        given = {**given, "second_positions": given["channel_positions"] + torch.tensor([0.02, -0.01, 0.01])}
        given["second_positions"][:, 2] += 0.03
    rows = [range(k, min(k + n_grouped, N_CHANNELS)) for k in range(0, N_CHANNELS, n_grouped)]
    mask = torch.tensor([[any(there[b, c] for c in row) for row in rows] for b in range(B)])
    values = torch.randn(B, len(rows), X, generator=torch.Generator().manual_seed(1))
    found = pooling(Features(values, mask), given).view(B, S, X).detach().double().numpy()
    pooling = pooling.double()
    for b in range(B):
        present = [r for r in range(len(rows)) if mask[b, r]]
        logits = np.stack(
            [4 * pooling.sites(place_of(pooling, given, b, rows[r], there)).detach().numpy() for r in present]
        )
        for s in range(S):
            weights = np.exp(logits[:, s]) / np.exp(logits[:, s]).sum()
            expected = sum(w * values[b, r].double().numpy() for w, r in zip(weights, present, strict=True))
            np.testing.assert_allclose(found[b, s], expected, atol=1e-5)


def place_of(pooling: SitePooling, given: WindowBatch, b: int, row: range, there: Tensor) -> Tensor:
    """Place of a row, in float64: of its channels that are there, one after the other."""
    own = [c for c in row if there[b, c]]
    middle = sum(given["channel_positions"][b, c].double() for c in own) / len(own)
    if "second_positions" not in given:
        return cast(Tensor, pooling.places(middle))
    second = sum(given["second_positions"][b, c].double() for c in own) / len(own)
    return cast(Tensor, pooling.places(2 * middle - second) - pooling.places(second))


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
    assert given.pooled.abs().max() < 1e-6
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
    assert isinstance(pooling, SitePooling) is is_of_sites
    assert pooling is None or pooling(given, windows(2)).shape == (2, pooling.n_values)
    assert new_pooling(0, made) is None
    facts = EncoderFacts.of(encoder)
    for n_sites in (0, None, 8):
        config = ContrastiveConfig(projection=ProjectionConfig(sites=n_sites))
        if n_sites and not is_of_sites:
            with pytest.raises(
                ConfigError, match=rf"^objective\.projection\.sites is 8, and encoder {encoder.name} .*out$"
            ):
                config.check_encoder(facts)
        else:
            config.check_encoder(facts)
