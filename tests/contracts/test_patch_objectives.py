"""Promises of every objective that masks patches."""

from typing import Any

import pytest
import torch

from contracts.objective_cases import OF_PATCHES, MakeBatch, build, context, said
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.objectives.base import Objective
from eegfm.objectives.patches.objective import PatchObjective


@pytest.fixture(params=OF_PATCHES, ids=said)
def objective(request: pytest.FixtureRequest, spec: SignalSpec, make_batch: MakeBatch) -> Objective:
    objective = build(request.param, spec)
    objective.setup([make_batch(19, 2, n_windows=4, seed=9)], context())
    return objective


def unit_of(objective: PatchObjective) -> Any:
    """Unit of the values of the only target, which are shown in physical units."""
    (target,) = objective.targets.values()
    return target.sd if target.frequencies_hz else target.scale


def test_reconstruction_explains_the_loss(objective: PatchObjective, make_batch: MakeBatch) -> None:
    """The loss, computed again from what the plot shows, over masked patches only."""
    objective.eval()
    if len(objective.targets) > 1:
        pytest.skip("shows the first target only")
    batch = make_batch(21, 3)
    shown = objective.reconstruct(batch, context(5))
    B, C, P, K = shown["target"].shape
    assert (B, C, P) == (2, 21, 3) == tuple(shown["mask"].shape)
    assert shown["prediction"].shape == shown["target"].shape
    assert (len(shown["frequencies_hz"]) or objective.encoder.patch_samples) == K
    squared = ((shown["prediction"] - shown["target"]) / unit_of(objective)).square().mean(dim=-1)
    loss = objective(batch, context(5))[0]
    torch.testing.assert_close(squared[shown["mask"]].mean(), loss.detach(), rtol=1e-4, atol=1e-5)
    assert abs(float(squared[~shown["mask"]].mean() - loss.detach())) > 1e-4


def test_masked_content_cannot_leak(objective: Objective, make_batch: MakeBatch) -> None:
    objective.eval()
    batch = make_batch(19, 4)
    shown = objective.reconstruct(batch, context(2))
    masked = shown["mask"].repeat_interleave(objective.encoder.patch_samples, dim=2)
    noise = 50 * torch.randn(batch["signal"].shape, generator=torch.Generator().manual_seed(3))
    changed: WindowBatch = {**batch, "signal": torch.where(masked, noise, batch["signal"])}
    again = objective.reconstruct(changed, context(2))
    assert torch.equal(again["prediction"], shown["prediction"])
    assert not torch.equal(again["target"], shown["target"])
    seen: WindowBatch = {**batch, "signal": torch.where(masked, batch["signal"], noise)}
    assert not torch.equal(objective.reconstruct(seen, context(2))["prediction"], shown["prediction"])


def padded(batch: WindowBatch, n_channels: int) -> tuple[WindowBatch, torch.Tensor]:
    """The batch spread over more channels, noise between, and which of them are real."""
    size, n_real, n_samples = batch["signal"].shape
    real = torch.randperm(n_channels, generator=torch.Generator().manual_seed(4))[:n_real].sort().values
    mask = torch.zeros(size, n_channels, dtype=torch.bool)
    mask[:, real] = True
    signal = 90 * torch.randn(size, n_channels, n_samples, generator=torch.Generator().manual_seed(5))
    signal[:, real] = batch["signal"]
    positions = torch.zeros(size, n_channels, 3)
    positions[:, real] = batch["channel_positions"]
    return {**batch, "signal": signal, "channel_positions": positions, "channel_mask": mask}, real


def test_padding_is_neither_masked_nor_scored(objective: Objective, make_batch: MakeBatch) -> None:
    """As if there were no padding: the same tokens are masked, the same loss comes out, the same statistics."""
    objective.eval()
    batch = make_batch(19, 2)
    more, real = padded(batch, 40)
    expected = objective(batch, context())
    alone = objective.reconstruct(batch, context(1))
    objective.backbone.adapter.filled = more["channel_mask"][0]
    found = objective(more, context())
    torch.testing.assert_close(found[0], expected[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1]["baseline_loss"], expected[1]["baseline_loss"], atol=1e-4, rtol=1e-4)
    shown = objective.reconstruct(more, context(1))
    assert torch.equal(shown["mask"][:, real], alone["mask"])
    assert int(shown["mask"].sum()) == int(alone["mask"].sum())
    assert torch.equal(shown["target"][:, real], alone["target"])
    state = {name: value.clone() for name, value in objective.own_state().items()}
    objective.setup([batch], context())
    of_batch = {name: value.clone() for name, value in objective.own_state().items()}
    objective.setup([more], context())
    for name, value in objective.own_state().items():
        torch.testing.assert_close(value, of_batch[name], atol=1e-5, rtol=1e-5)
    assert state.keys() == of_batch.keys()


def test_windows_differ_in_their_bad_channels(objective: Objective, make_batch: MakeBatch) -> None:
    """Each window masks its own share of its own good channels; the loss is the mean over windows of what they show."""
    objective.eval()
    batch = make_batch(19, 4, n_windows=4)
    mask = torch.ones(4, 19, dtype=torch.bool)
    mask[0, [2, 5, 11]], mask[1, :9], mask[3, 18] = False, False, False
    uneven: WindowBatch = {**batch, "channel_mask": mask}
    loss, _, _ = objective(uneven, context(3))
    shown = objective.reconstruct(uneven, context(3))
    assert not shown["mask"][~mask].any()
    n_patches, n_good = shown["mask"].shape[2], mask.sum(dim=1)
    n_masked_found = shown["mask"].sum(dim=(1, 2))
    if objective.config.mask.name != "rectangular_visible":
        assert n_masked_found.tolist() == [round(objective.config.mask_ratio * n * n_patches) for n in n_good.tolist()]
    else:
        share = n_masked_found / (n_good * n_patches)
        assert (share - objective.config.mask_ratio).abs().max() < 0.06, "as near as whole channels and patches allow"
    if len(objective.targets) > 1:
        return
    squared = ((shown["prediction"] - shown["target"]) / unit_of(objective)).square().mean(dim=-1).double()
    by_window = torch.stack([squared[k][shown["mask"][k]].mean() for k in range(4)])
    torch.testing.assert_close(loss.detach().double(), by_window.mean(), rtol=1e-4, atol=1e-5)


def test_statistics_are_of_good_channels_only(objective: Objective, make_batch: MakeBatch) -> None:
    batch = make_batch(19, 4, n_windows=3)
    mask = torch.ones(3, 19, dtype=torch.bool)
    mask[0, 4], mask[2, 7:10] = False, False
    states = []
    for loud_uv in (1.0, 1e4):
        signal = torch.where(mask.unsqueeze(-1), batch["signal"], loud_uv * batch["signal"])
        objective.setup([{**batch, "signal": signal, "channel_mask": mask}], context())
        states.append({name: value.clone() for name, value in objective.own_state().items()})
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_the_target_signal_is_asked_for_where_there_is_one(objective: Objective, make_batch: MakeBatch) -> None:
    objective.eval()
    batch, asked = make_batch(19, 4), make_batch(19, 4, seed=7)
    mixed: WindowBatch = {**batch, "target_signal": asked["signal"]}
    shown = objective.reconstruct(mixed, context(1))
    assert torch.equal(shown["target"], objective.reconstruct(asked, context(1))["target"])
    assert torch.equal(shown["signal_uv"], batch["signal"])
    learned: WindowBatch = {**mixed, "signal": batch["signal"].clone().requires_grad_()}
    assert not objective.reconstruct(learned, context(1))["signal_uv"].requires_grad
    objective.setup([mixed], context())
    of_mixed = {name: value.clone() for name, value in objective.own_state().items()}
    objective.setup([asked], context())
    for name, value in objective.own_state().items():
        assert name == "targets.codes.frequency" or torch.equal(value, of_mixed[name]), "a tokenizer has its own signal"


def test_where_channels_are_mixed_no_channel_tells_of_a_masked_patch(
    objective: Objective, make_batch: MakeBatch
) -> None:
    objective.eval()
    batch = make_batch(19, 4)
    mixed: WindowBatch = {**batch, "target_signal": batch["signal"]}
    shown = objective.reconstruct(mixed, context(1))
    P = shown["mask"].shape[2]
    assert torch.equal(shown["mask"], shown["mask"][:, :1].expand(-1, 19, -1))
    assert shown["mask"][:, 0].sum(dim=1).tolist() == [round(objective.config.mask_ratio * P)] * 2
    masked = shown["mask"].repeat_interleave(objective.encoder.patch_samples, dim=2)
    noise = 50 * torch.randn(batch["signal"].shape, generator=torch.Generator().manual_seed(3))
    changed: WindowBatch = {**mixed, "signal": torch.where(masked, noise, batch["signal"])}
    assert torch.equal(objective.reconstruct(changed, context(1))["prediction"], shown["prediction"])
