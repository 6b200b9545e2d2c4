"""Promises of every objective on the menu."""

import pytest
import torch
from torch import Tensor

from contracts.encoder_cases import IS_FULL
from contracts.objective_cases import CONFIGS, LEARNED, MakeBatch, asked, build, context, draws, said, tones
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.objectives.base import Objective


@pytest.fixture(params=CONFIGS, ids=said)
def objective(request: pytest.FixtureRequest, spec: SignalSpec, make_batch: MakeBatch) -> Objective:
    objective = build(request.param, spec)
    objective.setup([asked(objective, make_batch(19, 2, n_windows=4, seed=9))], context())
    return objective


@pytest.mark.parametrize(("n_channels", "duration_s"), [(19, 2), (21, 10), (64, 3), (129, 4)])
def test_loss_is_one_finite_number(
    objective: Objective, make_batch: MakeBatch, n_channels: int, duration_s: int
) -> None:
    loss, logs, _ = objective(asked(objective, make_batch(n_channels, duration_s, n_windows=4)), context())
    assert loss.shape == ()
    assert torch.isfinite(loss)
    assert loss.requires_grad
    assert torch.equal(logs["loss"], loss.detach())
    assert all(value.shape == () and not value.requires_grad for value in logs.values())


def test_every_parameter_learns(objective: Objective, make_batch: MakeBatch) -> None:
    objective(asked(objective, make_batch(19, 4, n_windows=8)), context())[0].backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_the_generator_decides(objective: Objective, make_batch: MakeBatch) -> None:
    objective.eval()
    batch = asked(objective, make_batch(19, 4, n_windows=4))
    first, again, other = (float(objective(batch, context(seed))[0].detach()) for seed in (0, 0, 1))
    assert first == again
    assert (first != other) is draws(objective.config)


def test_own_state_is_all_but_the_encoder(objective: Objective) -> None:
    own = set(objective.own_state())
    encoder = {f"backbone.{name}" for name in objective.backbone.state_dict()}
    assert own
    assert own | encoder == set(objective.state_dict())
    assert not own & encoder


def test_state_survives_a_round_trip(objective: Objective, spec: SignalSpec, make_batch: MakeBatch) -> None:
    other = build(objective.config, spec)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    other.load_state_dict(objective.state_dict(), strict=True)
    for one in (objective, other):
        one.eval()  # dropout draws anew
    batch = asked(objective, make_batch(19, 2, n_windows=4))
    assert float(other(batch, context())[0].detach()) == float(objective(batch, context())[0].detach())


def fitted(objective: Objective, batch: WindowBatch) -> float:
    """Loss after some steps on one batch."""
    objective.setup([batch], context())
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    for step in range(30):
        loss = objective(batch, context(step))[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        objective.after_step(context(step))
    return float(loss.detach())


@pytest.mark.parametrize("objective", CONFIGS if IS_FULL else LEARNED, ids=said, indirect=True)
def test_overfits_eight_windows_which_no_constant_does(
    objective: Objective, spec: SignalSpec, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = asked(objective, tones(make_batch(19, 2, n_windows=8)))
    first = float(objective(batch, context())[0].detach())
    found = fitted(objective, batch)
    assert found < 0.5 * first
    blind = build(objective.config, spec)
    encode = type(blind.encoder).encode

    def constant(self: Encoder, *args: object, **kwargs: object) -> Tensor:
        encoded: Tensor = encode(self, *args, **kwargs)
        return 0 * encoded + encoded.mean(dim=(0, 1), keepdim=True) if self is blind.encoder else encoded

    monkeypatch.setattr(type(blind.encoder), "encode", constant)
    assert found < 0.6 * fitted(blind, batch)
