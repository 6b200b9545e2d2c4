"""Promises of the objectives on vectors of hidden patches, with every encoder that has patches."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from backbones import WindowBackbone
from contracts.encoder_cases import IS_FULL, MEMBERS, Case, Subject, in_microvolts, make_batch, noise
from eegfm.batch import WindowBatch
from eegfm.errors import ConfigError
from eegfm.nn.context import Context
from eegfm.nn.weights import build_seeded
from eegfm.objectives.base import LossOutput
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.config import JepaConfig, ObjectiveConfig, SmartConfig, Ts2VecConfig
from eegfm.objectives.latent.objective import LatentObjective

LIGHT: dict[str, dict[str, Any]] = {
    "patch_transformer": {"d_model": 64, "n_layers": 2},
    "conv": {"n_layers": 2},
    "gru": {"n_layers": 1},
    "luna": {"n_layers": 1, "n_queries": 2},
    "labram": {"n_layers": 1},
    "cbramod": {"n_layers": 1},
    "femba": {"d_token": 8, "n_layers": 1},
}
DEFAULT = ("patch_transformer", "luna", "cbramod")
"""One that leaves tokens out, one with a vector per patch, one whose tokens have no place."""
SUBJECTS = {name: Subject.of(Case(name, name, light)) for name, light in LIGHT.items()}
CONFIGS: dict[str, ObjectiveConfig] = {
    "jepa": JepaConfig(),
    "jepa-random": JepaConfig(mask={"name": "random"}),
    "jepa-sigreg": JepaConfig(teacher="none", regularization={"name": "sigreg", "n_directions": 8}),
    "smart": SmartConfig(),
    "ts2vec": Ts2VecConfig(),
}


class Watched:
    """An objective of one encoder that keeps what it compared in its last pass."""

    def __init__(self, config: ObjectiveConfig, member: str) -> None:
        subject = SUBJECTS[member]
        backbone = WindowBackbone(copy.deepcopy(subject.encoder()), subject.spec())
        self.objective = build_seeded(config, 0, backbone).eval()
        if isinstance(self.objective, LatentObjective):
            score = self.objective.score
            self.objective.score = lambda *args: score(*self._kept(*args))
        self.prediction, self.target, self.scored = torch.empty(0), torch.empty(0), None

    def __call__(self, batch: WindowBatch, seed: int = 0) -> LossOutput:
        output: LossOutput = self.objective(batch, Context(seed=seed))
        return output

    def _kept(self, prediction: Tensor, target: Tensor, scored: Tensor | None, context: Context) -> tuple[Any, ...]:
        self.prediction, self.target, self.scored = prediction.detach(), target.detach(), scored
        return prediction, target, scored, context


@pytest.fixture(params=LIGHT if IS_FULL else DEFAULT)
def member(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def with_bad_channels(batch: WindowBatch) -> WindowBatch:
    mask = torch.ones(batch["signal"].shape[:2], dtype=torch.bool)
    mask[0, [2, 5, 6, 7]], mask[1, 18] = False, False
    return {**batch, "channel_mask": mask}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_weight_learns(member: str, name: str) -> None:
    watched = Watched(CONFIGS[name], member)
    output = watched(in_microvolts(make_batch()))
    assert torch.isfinite(output.loss)
    output.loss.backward()
    lacking = [
        name
        for name, parameter in watched.objective.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    # What follows the last layer of other tokens than those that count has no gradient.
    assert [each for each in lacking if not each.startswith("backbone.encoder.")] == []


@pytest.mark.parametrize("name", ["jepa", "jepa-random", "smart"])
def test_hidden_content_changes_targets_and_no_prediction(member: str, name: str) -> None:
    """All but what is hidden is replaced, or only that."""
    watched = Watched(CONFIGS[name], member)
    batch = with_bad_channels(in_microvolts(make_batch()))
    hidden = hidden_samples(watched, batch)
    watched(batch)
    expected, target = watched.prediction, watched.target
    other = 30 * noise(batch["signal"].shape, 5)
    watched({**batch, "signal": torch.where(hidden, other, batch["signal"])})
    assert torch.equal(watched.prediction, expected)
    assert not torch.equal(watched.target, target)
    watched({**batch, "signal": torch.where(hidden, batch["signal"], other)})
    assert not torch.allclose(watched.prediction, expected)


def hidden_samples(watched: Watched, batch: WindowBatch) -> Tensor:
    """(B, C, T) bool: found by asking which patches no prediction depends on."""
    objective = watched.objective
    signal = batch["signal"].clone().requires_grad_()
    keep = watched.objective.score
    predictions: list[Tensor] = []
    objective.score = lambda prediction, *rest: predictions.append(prediction) or keep(prediction, *rest)
    watched({**batch, "signal": signal})
    objective.score = keep
    scored = torch.ones(predictions[0].shape[:2]) if watched.scored is None else watched.scored.float()
    weights = noise(predictions[0].shape, 3) * scored.unsqueeze(-1)
    (gradient,) = torch.autograd.grad((predictions[0] * weights).sum(), signal)
    S = objective.encoder.patch_samples
    is_seen = gradient.unflatten(-1, (-1, S)).abs().amax(dim=-1) > 0
    is_hidden = ~is_seen & batch["channel_mask"].unsqueeze(-1)
    assert 0 < is_hidden.sum() < is_hidden.numel()
    return is_hidden.repeat_interleave(S, dim=2)


@pytest.mark.parametrize("name", CONFIGS)
def test_absent_channels_do_not_count(member: str, name: str) -> None:
    watched = Watched(CONFIGS[name], member)
    batch = with_bad_channels(in_microvolts(make_batch()))
    found = []
    for loud_uv in (1.0, 1e3):
        signal = torch.where(batch["channel_mask"].unsqueeze(-1), batch["signal"], loud_uv * batch["signal"])
        output = watched({**batch, "signal": signal})
        found.append((output.loss.detach(), {name: float(value) for name, value in output.logs.items()}))
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-5, abs=1e-6)
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=1e-6)


def test_predictions_of_one_moment_differ_between_channels(member: str) -> None:
    """A predictor that knows no places predicts the same for all hidden tokens (cerebro's S-JEPA)."""
    if SUBJECTS[member].traits.output != "tokens":
        pytest.skip("one vector for all channels")
    watched = Watched(JepaConfig(), member)
    watched(in_microvolts(make_batch()))
    by_channel = watched.prediction.view(2, 19, -1, watched.prediction.shape[-1])
    assert by_channel.std(dim=1).mean() > 1e-3
    assert by_channel.std(dim=2).mean() > 1e-3


@pytest.mark.parametrize("name", ["jepa", "smart", "ts2vec"])
def test_encoders_of_whole_windows_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"objective {name} asks for single patches, encoder eegnet gives one vector"):
        CONFIGS[name].check_encoder(EncoderFacts.of(MEMBERS["eegnet"]()))


@pytest.mark.parametrize("name", ["jepa", "smart"])
def test_encoders_that_know_of_the_whole_window_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"objective {name} masks patches, but every token of encoder labram knows"):
        CONFIGS[name].check_encoder(EncoderFacts.of(MEMBERS["labram"](patch_norm="window")))
    CONFIGS["ts2vec"].check_encoder(EncoderFacts.of(MEMBERS["labram"](patch_norm="window")))


@pytest.mark.parametrize("mask", ["channels", "spatial_block"])
def test_masks_of_channels_are_refused_where_a_patch_has_one_vector(mask: str) -> None:
    config = JepaConfig(mask={"name": mask})
    with pytest.raises(ConfigError, match=f"mask.name {mask} hides channels, and encoder luna gives one vector"):
        config.check_encoder(EncoderFacts.of(MEMBERS["luna"]()))
    config.check_encoder(EncoderFacts.of(MEMBERS["conv"]()))
