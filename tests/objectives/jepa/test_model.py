"""What `jepa` compares, and what keeps it from collapsing."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from eegfm.augmentations.config import GainConfig
from eegfm.batch import rank_slice
from eegfm.encoders.config import ConvConfig
from eegfm.errors import ConfigError
from eegfm.nn.context import MASKS, Context
from eegfm.objectives.config import JepaConfig
from eegfm.objectives.latent.objective import normalized_vectors
from eegfm.training.config import PretrainParams
from latent_windows import N_CHANNELS, N_PATCHES, backbone, build, windows

NONE = {"teacher": "none"}


def expected_blocks(context: Context, n_windows: int) -> Tensor:
    """(B, 2) patches that the default mask hides."""
    noise = context.window_draws(MASKS, "c", n_windows).uniform(3)
    return noise.argsort(dim=1)[:, :2].sort(dim=1).values + torch.arange(2)


@pytest.mark.parametrize("has_bad_channels", [False, True])
@pytest.mark.parametrize("encoder", ["patch_transformer", "conv"])
def test_the_loss_is_that_of_the_teachers_vectors_of_hidden_blocks(encoder: str, has_bad_channels: bool) -> None:
    choices = (ConvConfig(d_model=32, n_layers=1),) if encoder == "conv" else ()
    objective, batch, context = build(JepaConfig(loss="l2"), *choices), windows(), Context(seed=3)
    mask = torch.ones(4, N_CHANNELS, dtype=torch.bool)
    if has_bad_channels:
        mask[0, 1], mask[2, 2:] = False, False
    batch["channel_mask"] = mask
    nn.init.zeros_(objective.predictor.head[1].weight)
    predicted = nn.init.normal_(objective.predictor.head[1].bias).detach()
    loss, logs, _ = objective(batch, context)
    whole = objective.backbone.eval()(batch).vectors.view(4, N_CHANNELS, N_PATCHES, -1)
    patches = expected_blocks(context, 4)
    hidden = [normalized_vectors(whole[b][mask[b]][:, patches[b]]) for b in range(4)]
    torch.testing.assert_close(loss, torch.stack([(vectors - predicted).square().mean() for vectors in hidden]).mean())
    assert logs.keys() == {"loss", "baseline_loss", "cosine", "target_sd", "window_sd"}


def test_gradients_reach_the_encoder_through_what_is_visible_only() -> None:
    objective, batch = build(JepaConfig()), windows()
    signal = batch["signal"].requires_grad_()
    objective(batch, Context(seed=3)).loss.backward()
    seen = signal.grad.view(4, N_CHANNELS, N_PATCHES, -1).abs().amax(dim=(1, 3)) > 0
    patches = expected_blocks(Context(seed=3), 4)
    assert torch.equal(seen, torch.ones(4, N_PATCHES, dtype=torch.bool).scatter(1, patches, False))


def test_without_a_teacher_gradients_reach_the_targets() -> None:
    config = JepaConfig(**NONE, regularization={"name": "vicreg"}, mask={"name": "spatial_block"}, loss="cosine")
    objective, batch = build(config), windows()
    signal = batch["signal"].requires_grad_()
    output = objective(batch, Context(seed=3))
    output.loss.backward()
    assert (signal.grad.view(4, N_CHANNELS, N_PATCHES, -1).abs().amax(dim=3) > 0).all()
    assert objective.teacher is None
    assert output.features.vectors.shape == (4, N_CHANNELS * N_PATCHES, 32)
    total = output.logs["prediction_loss"] + output.logs["variance"] + 0.04 * output.logs["covariance"]
    torch.testing.assert_close(output.logs["loss"], total)
    assert "baseline_loss" not in output.logs
    changed = build(config.model_copy(update={"augment": (GainConfig(log_sd=1e-6),)}))(batch, Context(seed=3))
    assert changed.features is None, "targets are of untouched windows"
    for name, value in changed.logs.items():
        torch.testing.assert_close(value, output.logs[name], rtol=1e-3, atol=1e-5)  # regularization sees targets, too


def trained(config: JepaConfig, n_steps: int = 15) -> dict[str, float]:
    """Logs behind some steps."""
    objective = build(config)
    optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
    for step in range(n_steps):
        output = objective(windows(8), Context(step=step, n_steps=n_steps))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        objective.after_step(Context(step=step, n_steps=n_steps))
    return {name: float(value) for name, value in output.logs.items()}


def test_regularization_prevents_the_collapse_that_comes_without() -> None:
    without = JepaConfig.model_construct(**{**JepaConfig().__dict__, **NONE})  # no configuration says so
    collapsed = trained(without)
    assert collapsed["target_sd"] < 0.15
    for name in ("vicreg", "sigreg"):
        spread = trained(JepaConfig(**NONE, regularization={"name": name}))
        assert spread["target_sd"] > 0.6
        assert spread["window_sd"] > 4 * collapsed["window_sd"]


@pytest.mark.parametrize("name", ["vicreg", "sigreg"])
def test_collapsed_vectors_are_punished(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = build(JepaConfig(**NONE, regularization={"name": name}))
    healthy = objective(windows(8), Context()).loss.detach()
    encode = type(objective.encoder).encode
    monkeypatch.setattr(type(objective.encoder), "encode", lambda *args, **kwargs: 0 * encode(*args, **kwargs) + 1)
    nn.init.zeros_(objective.predictor.head[1].weight)
    nn.init.zeros_(objective.predictor.head[1].bias)
    output = objective(windows(8), Context())
    assert float(output.logs["prediction_loss"]) < 1e-6
    assert output.loss > healthy, "in spite of a perfect prediction"


def test_collapse_needs_no_help() -> None:
    with pytest.raises(ValueError, match="constant vectors would be the best answer"):
        JepaConfig(teacher="none")
    with pytest.raises(ValueError, match="teacher_decay is not used with teacher: none"):
        JepaConfig(**NONE, regularization={"name": "vicreg"}, teacher_decay=0.9)


def test_whole_batches_are_not_cut() -> None:
    plain = {"n_steps": 5, "accumulate": 2}
    PretrainParams.model_validate({**plain, "objective": {"name": "jepa"}})
    with pytest.raises(ValueError, match="accumulate is 2, and the loss of objective jepa is one of the whole"):
        PretrainParams.model_validate({**plain, "objective": {"name": "jepa", "regularization": {"name": "vicreg"}}})


def test_ranks_and_cuts_together_hide_what_one_process_hides() -> None:
    objective, batch = build(JepaConfig()), windows(8)
    whole = objective._draw(objective.windows(batch, Context()), Context())
    for rank, cut in ((0, 0), (0, 1), (1, 0), (1, 1)):
        own = rank_slice(rank + 2 * cut, 4)
        part = {name: value[own] if isinstance(value, Tensor) else value for name, value in batch.items()}
        context = replace(Context(rank=rank, world_size=2), cut=cut, n_cuts=2)
        found = objective._draw(objective.windows(part, context), context)
        assert torch.equal(found.asked, whole.asked[own])
        assert torch.equal(found.some_seen, whole.some_seen[own])


def test_an_adapter_that_mixes_channels_hides_whole_patches() -> None:
    mixing = backbone()
    mixing.adapter.weight = nn.Parameter(torch.zeros(1))
    with pytest.raises(ConfigError, match="spatial_block leaves channels of a masked patch visible, and an adapter"):
        JepaConfig(mask={"name": "spatial_block"}).build(mixing)
    objective = JepaConfig(mask={"name": "random"}).build(mixing)
    batch = objective.windows(windows(), Context())
    batch["target_signal"] = batch["signal"]
    asked = objective._draw(batch, Context()).asked.view(4, N_CHANNELS, 2) % N_PATCHES
    assert (asked == asked[:, :1]).all()
