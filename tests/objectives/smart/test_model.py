"""What `smart` hides and compares."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from eegfm.batch import rank_slice
from eegfm.nn.context import MASKS, Context
from eegfm.objectives.config import SmartConfig
from eegfm.objectives.latent.objective import normalized_vectors
from latent_windows import N_CHANNELS, N_PATCHES, build, windows

N = N_CHANNELS * N_PATCHES


def drawn(objective: object, batch: dict[str, object], context: Context) -> Tensor:
    hidden: Tensor = objective._draw(objective.windows(batch, context), N_CHANNELS, N_PATCHES, context)
    return hidden


def test_each_window_hides_its_own_exact_share() -> None:
    objective, batch = build(SmartConfig()), windows(200)
    found = drawn(objective, batch, Context(seed=4)).sum(dim=1)
    ratio = 0.75 * Context(seed=4).window_draws(MASKS, "c", 200).uniform(1)[:, 0]
    assert found.tolist() == [min(max(round(float(r) * N), 1), N - 1) for r in ratio]
    assert set(found.tolist()) == set(range(1, 16)), "every number up to 0.75 * 20"


def test_absent_channels_are_never_hidden_and_shares_are_of_those_that_are_there() -> None:
    objective, batch = build(SmartConfig()), windows(50)
    mask = torch.ones(50, N_CHANNELS, dtype=torch.bool)
    mask[::2, [0, 3]] = False
    found = drawn(objective, {**batch, "channel_mask": mask}, Context()).view(50, N_CHANNELS, N_PATCHES)
    ratio = 0.75 * Context().window_draws(MASKS, "c", 50).uniform(1)[:, 0]
    n_present = N_PATCHES * mask.sum(dim=1)
    assert not found[~mask].any()
    expected = [min(max(round(float(r * n)), 1), int(n) - 1) for r, n in zip(ratio, n_present, strict=True)]
    assert found.sum(dim=(1, 2)).tolist() == expected


def test_all_channels_of_a_patch_are_hidden_together_behind_an_adapter_that_mixes() -> None:
    objective = build(SmartConfig())
    batch = objective.windows(windows(50), Context())
    batch["target_signal"] = batch["signal"]
    found = objective._draw(batch, N_CHANNELS, N_PATCHES, Context()).view(50, N_CHANNELS, N_PATCHES)
    assert (found == found[:, :1]).all()
    assert set(found[:, 0].sum(dim=1).tolist()) == {1, 2, 3}


def test_ranks_and_cuts_together_hide_what_one_process_hides() -> None:
    objective, batch = build(SmartConfig()), windows(8)
    whole = drawn(objective, batch, Context())
    for rank, cut in ((0, 0), (0, 1), (1, 0), (1, 1)):
        own = rank_slice(rank + 2 * cut, 4)
        part = {name: value[own] if isinstance(value, Tensor) else value for name, value in batch.items()}
        context = replace(Context(rank=rank, world_size=2), cut=cut, n_cuts=2)
        assert torch.equal(drawn(objective, part, context), whole[own])


def test_the_loss_is_that_of_the_teachers_vectors_of_hidden_tokens() -> None:
    objective, batch, context = build(SmartConfig()), windows(), Context(seed=2)
    nn.init.zeros_(objective.predictor[-1].weight)
    predicted = nn.init.normal_(objective.predictor[-1].bias).detach()
    loss, logs, encoded = objective(batch, context)
    whole = normalized_vectors(objective.backbone.eval()(batch).vectors).double()
    error = (whole - predicted).abs()
    distance = torch.where(error < 1, 0.5 * error.square(), error - 0.5).mean(dim=-1)
    hidden = drawn(objective, batch, context)
    expected = torch.stack([distance[b][hidden[b]].mean() for b in range(4)]).mean()
    torch.testing.assert_close(loss.detach().double(), expected.detach(), rtol=1e-5, atol=0)
    assert torch.equal(logs["loss"], loss.detach())
    assert encoded is None, "nothing whole was encoded"


def test_ratios_are_shares() -> None:
    with pytest.raises(ValueError, match="less than 1"):
        SmartConfig(max_ratio=1.0)
