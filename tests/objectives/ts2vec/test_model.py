"""Crops, masks and the contrast of `ts2vec`."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from backbones import WindowBackbone
from eegfm.batch import SignalSpec, rank_slice
from eegfm.encoders.config import FembaConfig
from eegfm.encoders.load import new_encoder
from eegfm.losses.hierarchical import hierarchical_contrast
from eegfm.nn.context import CROPS, Context
from eegfm.objectives.config import Ts2VecConfig
from eegfm.objectives.ts2vec import model
from eegfm.objectives.ts2vec.model import chance_loss
from eegfm.training.config import PretrainParams
from latent_windows import MONTAGE, N_PATCHES, build, windows


def compared(objective: object, monkeypatch: pytest.MonkeyPatch, contexts: list[Context]) -> list[list[Tensor]]:
    """Both views that the loss gets, of each context."""
    found: list[list[Tensor]] = []

    def kept(first: Tensor, second: Tensor, *temperature: float, shared: Tensor | None) -> Tensor:
        if temperature:
            found.append([first.detach(), second.detach()])
        return hierarchical_contrast(first, second, *temperature, shared=shared)

    monkeypatch.setattr(model, "hierarchical_contrast", kept)
    for context in contexts:
        objective(windows(), context)
    return found


def test_the_same_patches_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an encoder whose vector of a patch says which patch it is."""
    objective = build(Ts2VecConfig(mask_ratio=0.1))
    n_cropped = objective.n_cropped(N_PATCHES)
    assert n_cropped == 3

    def marked(batch: dict[str, Tensor], draws: object) -> Tensor:
        number = batch["signal"].mean(dim=1).unflatten(-1, (n_cropped, -1)).mean(dim=-1)
        return torch.stack([number, 1 + 0 * number], dim=-1).requires_grad_()

    batch = windows()
    batch["signal"] = torch.arange(1.0, 1 + N_PATCHES).repeat_interleave(100).expand_as(batch["signal"]).clone()
    objective._by_patch = marked
    monkeypatch.setitem(globals(), "windows", lambda: batch)
    contexts = [Context(seed=seed) for seed in range(12)]
    found = compared(objective, monkeypatch, contexts)
    lengths = set()
    for (first, second), context in zip(found, contexts, strict=True):
        begins = torch.randint(2, (2,), generator=context.generator(CROPS, "c")).tolist()
        assert torch.equal(first, second)
        tangent = first[0, :, 0] / first[0, :, 1]
        scale = objective.windows(batch, context)["signal"][0, 0, 0]
        torch.testing.assert_close(tangent / scale, torch.arange(max(begins) + 1.0, min(begins) + 4.0))
        lengths.add(first.shape[1])
    assert lengths == {2, 3}


def test_views_hide_different_tokens_of_equal_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = build(Ts2VecConfig(crop_ratio=1.0))
    [(first, second)] = compared(objective, monkeypatch, [Context()])
    assert first.shape == (4, N_PATCHES, 32)
    assert not torch.allclose(first, second)
    torch.testing.assert_close(first.norm(dim=-1), torch.ones(4, N_PATCHES))


def test_constant_vectors_have_the_loss_of_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = build(Ts2VecConfig())
    encode = type(objective.encoder).encode
    monkeypatch.setattr(type(objective.encoder), "encode", lambda *args: 0 * encode(*args) + 1)
    for seed in range(4):
        batch = windows() | ({"first_row": torch.tensor([0, 500, 800, 900])} if seed % 2 else {})
        loss, logs, _ = objective(batch, Context(seed=seed))
        torch.testing.assert_close(loss.detach(), logs["chance_loss"])
        assert float(logs["feature_sd"]) < 1e-6


def test_chance_is_the_loss_of_equal_vectors() -> None:
    """Of four windows of 400 samples, the last two and the middle two share samples."""
    objective = build(Ts2VecConfig(crop_ratio=1.0))
    logs = objective(windows() | {"first_row": torch.tensor([0, 500, 800, 900])}, Context()).logs
    by_time = (math.log(2 * 4 - 1) + math.log(2 * 2 - 1) + math.log(1)) / 3
    by_window = (math.log(7) + math.log(5) + math.log(3) + math.log(5)) / 4
    assert float(logs["chance_loss"]) == pytest.approx(by_time + by_window, rel=1e-5)
    assert float(chance_loss(torch.ones(4, 4, 3), None)) == pytest.approx(by_time + math.log(7), rel=1e-5)


def test_absent_channels_are_no_part_of_a_patch() -> None:
    objective, batch = build(Ts2VecConfig(mask_ratio=0.1)), windows()
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[1, 2] = False
    shown = objective.windows({**batch, "channel_mask": mask}, Context())
    draws = Context().window_draws(0, "c", 4)
    found = objective._by_patch(shown, draws)
    tokens = objective.encoder.tokenize(shown)
    rows, grid = objective.grids.of(shown, 5, N_PATCHES, whole_patches=False)
    hidden = rows.among_all(objective.masks.masked(grid, Context().window_draws(0, "c", 4)), N_PATCHES)
    encoded = objective.encoder.encode(tokens.with_content_at(hidden, objective.mask_token)).view(4, 5, N_PATCHES, -1)
    torch.testing.assert_close(found[1], encoded[1][mask[1]].mean(dim=0))
    torch.testing.assert_close(found[0], encoded[0].mean(dim=0))


def test_an_encoder_of_one_length_is_shown_whole_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SignalSpec(100.0, {"m": MONTAGE}, {"m": 400})
    encoder = new_encoder(FembaConfig(d_token=8, n_layers=1, patch_samples=50), spec, seed=0)
    objective = Ts2VecConfig().build(WindowBackbone(encoder, spec))
    [(first, _)] = compared(objective, monkeypatch, [Context()])
    assert first.shape[1] == 8


def test_all_ranks_crop_alike_and_hide_their_own() -> None:
    objective, batch = build(Ts2VecConfig()), windows(8)
    shown = objective.windows(batch, Context())
    whole = objective._by_patch(shown, Context().window_draws(0, "c", 8))
    for rank in range(2):
        own, context = rank_slice(rank, 2), replace(Context(), rank=rank, world_size=2)
        part = {name: value[own] if isinstance(value, Tensor) else value for name, value in shown.items()}
        torch.testing.assert_close(objective._by_patch(part, context.window_draws(0, "c", 4)), whole[own])
        assert objective._begins(7, "c", context) == objective._begins(7, "c", Context())


def test_whole_batches_are_not_cut() -> None:
    with pytest.raises(ValueError, match="accumulate is 2, and the loss of objective ts2vec is one of the whole"):
        PretrainParams.model_validate({"n_steps": 5, "accumulate": 2, "objective": {"name": "ts2vec"}})
