"""Promises of every optimizer on the menu."""

import copy
import io
from collections.abc import Callable, Mapping
from typing import Any, get_args

import pytest
import torch
from torch.optim import Optimizer

from eegfm.training.optimizers.config import BaseOptimizerConfig, OptimizerConfig
from eegfm.training.schedules.config import WarmupCosineConfig
from eegfm.training.skipping import guarded_step
from small_objective import SmallObjective, trained, windows

MEMBERS: tuple[type[BaseOptimizerConfig], ...] = get_args(get_args(OptimizerConfig)[0])
CHOICES: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.7, "nesterov": True},
    "adam": {"betas": (0.7, 0.8), "eps": 1e-3},
    "adamw": {"betas": (0.7, 0.8), "eps": 1e-3},
    "lamb": {"betas": (0.7, 0.8), "eps": 1e-3, "trust_clip": 4.0, "bias_correction": False, "adapt_all": True},
    "muon": {
        "momentum": 0.7,
        "nesterov": False,
        "n_iterations": 4,
        "rate_scale": "original",
        "adamw_rate_ratio": 3.0,
        "betas": (0.7, 0.8),
        "eps": 1e-3,
    },
}
"""By member, its own choices, none of them the default."""
SHARED: dict[str, Any] = {
    "learning_rate": 0.5,
    "weight_decay": 0.3,
    "learning_rates": {"adapter": 0.7},
    "layer_decay": 0.25,
}
RENAMED = {"n_iterations": "ns_steps", "rate_scale": "adjust_lr_fn", "adapt_all": "adapts"}
"""Choices that torch, or a group, calls otherwise."""


@pytest.fixture(params=MEMBERS, ids=lambda member: member.model_fields["name"].default)
def member(request: pytest.FixtureRequest) -> type[BaseOptimizerConfig]:
    found: type[BaseOptimizerConfig] = request.param
    return found


def built(config: BaseOptimizerConfig, objective: SmallObjective) -> Optimizer:
    optimizer: Optimizer = config.build(objective)
    return optimizer


def test_every_number_is_consumed(member: type[BaseOptimizerConfig]) -> None:
    """All fields of the configuration, none of them forgotten, differ from the default and are found in the groups."""
    name = member.model_fields["name"].default
    given = SHARED | CHOICES[name]
    assert set(given) == set(member.model_fields) - {"name"}, "a new choice needs a value here"
    config = member.model_validate(given)
    for key in given:
        assert getattr(config, key) != member.model_fields[key].get_default(call_default_factory=True), key
    groups = built(config, SmallObjective()).param_groups
    own = [g for g in groups if not g["name"].endswith(".muon")]
    ratio = CHOICES[name].get("adamw_rate_ratio", 1.0)
    rates = {"head": 0.5, "adapter": 0.7, "encoder.2": 0.5, "encoder.1": 0.125, "encoder.0": 0.5 / 16}
    assert {g["name"]: g["lr"] for g in own} == {part: rate * ratio for part, rate in rates.items()}
    assert {g["weight_decay"] for g in groups if g["decays"]} == {0.3}
    assert {g["weight_decay"] for g in groups if not g["decays"]} == {0.0}
    by_muon = {g["name"]: g for g in groups if g["name"].endswith(".muon")}
    assert {part: g["lr"] for part, g in by_muon.items()} == (
        {"encoder.2.muon": 0.5, "encoder.1.muon": 0.125} if name == "muon" else {}
    )
    for key, value in CHOICES[name].items():
        if key != "adamw_rate_ratio":
            of = by_muon.values() if key in ("momentum", "nesterov", "n_iterations", "rate_scale") and by_muon else own
            assert of
            assert {g[RENAMED.get(key, key)] for g in of} == {value}, key


def settings(member: type[BaseOptimizerConfig]) -> list[BaseOptimizerConfig]:
    """The default with decay, and what differs from it."""
    own = {**SHARED, **CHOICES[member.model_fields["name"].default], "learning_rate": 0.01, "learning_rates": {}}
    return [member(learning_rate=0.01, weight_decay=0.1), member.model_validate(own)]


def test_two_runs_in_one_process_are_bit_identical(member: type[BaseOptimizerConfig]) -> None:
    for config in settings(member):
        runs = []
        for _ in range(2):
            objective = SmallObjective()
            runs.append(trained(objective, built(config, objective), range(6)))
        assert all(torch.equal(first, second) for first, second in zip(*runs, strict=True))


def test_every_weight_moves_and_the_loss_falls(member: type[BaseOptimizerConfig]) -> None:
    objective = SmallObjective()
    before = [p.detach().clone() for p in objective.parameters()]
    first = float(objective(torch.ones(5, 3)).detach())
    after = trained(objective, built(member(learning_rate=0.02), objective), range(60))
    assert all(not torch.equal(b, a) for b, a in zip(before, after, strict=True))
    assert float(objective(torch.ones(5, 3)).detach()) < 0.8 * first


@pytest.mark.parametrize("part", ["backbone.adapter", "backbone.encoder.layers", "backbone.encoder", "head"])
def test_what_is_frozen_stays_and_what_is_released_moves(member: type[BaseOptimizerConfig], part: str) -> None:
    """Frozen weights do not decay either, whether they are frozen at first or on the way; groups stay as they are."""
    for config in settings(member):
        objective = SmallObjective()
        frozen = objective.get_submodule(part)
        optimizer = built(config, objective)
        for is_frozen, steps in ((True, range(3)), (False, range(3, 6)), (True, range(6, 9)), (False, range(9, 12))):
            frozen.requires_grad_(not is_frozen)
            before = [p.detach().clone() for p in frozen.parameters()]
            trained(objective, optimizer, steps)
            moved = [not torch.equal(b, p) for b, p in zip(before, frozen.parameters(), strict=True)]
            assert moved == [not is_frozen] * len(moved), steps


def test_a_released_weight_starts_as_in_a_new_run(member: type[BaseOptimizerConfig]) -> None:
    """The optimizer counts the steps of each weight, not of the run: running means are corrected by their own age."""
    objective = SmallObjective()
    optimizer = built(member(weight_decay=0.1), objective)
    objective.backbone.encoder.requires_grad_(False)
    trained(objective, optimizer, range(5))
    objective.backbone.encoder.requires_grad_(True)
    fresh = SmallObjective()
    fresh.load_state_dict(objective.state_dict())
    trained(objective, optimizer, range(5, 6))
    trained(fresh, built(member(weight_decay=0.1), fresh), range(5, 6))
    pairs = zip(objective.backbone.encoder.parameters(), fresh.backbone.encoder.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_state_goes_on_bit_identically_through_a_file(member: type[BaseOptimizerConfig]) -> None:
    """The state holds nothing that a pickle would import, and the schedule's rates come back with the groups."""
    for config in settings(member):
        objective = SmallObjective()
        optimizer = built(config, objective)
        objective.backbone.adapter.requires_grad_(False)  # has no state yet when it is saved
        trained(objective, optimizer, range(4))
        file = io.BytesIO()
        torch.save({"weights": objective.state_dict(), "optimizer": optimizer.state_dict()}, file)
        again = SmallObjective(seed=1)
        resumed = built(config, again)
        file.seek(0)
        stored = torch.load(file, weights_only=True)
        again.load_state_dict(stored["weights"])
        resumed.load_state_dict(stored["optimizer"])
        objective.backbone.adapter.requires_grad_(True)
        expected = trained(objective, optimizer, range(4, 8))
        found = trained(again, resumed, range(4, 8))
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
        assert [g["name"] for g in resumed.param_groups] == [g["name"] for g in optimizer.param_groups]


@pytest.mark.parametrize("broken", [{0}, {1, 3}])
def test_a_step_that_is_left_out_did_not_happen(member: type[BaseOptimizerConfig], broken: set[int]) -> None:
    """Weights and state are those of a training without that step, also if it is the first."""
    for config in settings(member):
        objective, expected = SmallObjective(), SmallObjective()
        optimizer, plain = built(config, objective), built(config, expected)
        for step in range(5):
            optimizer.zero_grad()
            objective(windows(step)).backward()
            if step in broken:
                for p in objective.parameters():
                    assert p.grad is not None
                    p.grad.fill_(torch.nan)
            else:
                trained(expected, plain, range(step, step + 1))
            guarded_step(optimizer, torch.tensor(step not in broken))
        assert all(torch.equal(a, b) for a, b in zip(objective.parameters(), expected.parameters(), strict=True))
        found, states = (one.state_dict()["state"] for one in (optimizer, plain))
        assert all(torch.equal(found[k][name], value) for k in states for name, value in states[k].items())


def test_the_schedule_scales_every_group(member: type[BaseOptimizerConfig]) -> None:
    """A rate of zero moves nothing: the schedule reaches each group, also after a state was loaded."""
    objective = SmallObjective()
    optimizer = built(member.model_validate({**SHARED, "weight_decay": 0.0}), objective)
    peaks = [group["lr"] for group in optimizer.param_groups]
    schedule = WarmupCosineConfig(warmup_ratio=0, final_ratio=0).build(optimizer, 3, 3)
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5 * peak for peak in peaks])
    trained(objective, optimizer, range(1))
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    schedule.step()
    before = [p.detach().clone() for p in objective.parameters()]
    assert all(torch.equal(b, p) for b, p in zip(before, trained(objective, optimizer, range(1, 3)), strict=True))


def test_no_step_waits_for_the_device(member: type[BaseOptimizerConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    """SGD, Adam and AdamW are torch's own, which keep this; of ours, no value of a tensor is asked for."""
    objective = SmallObjective()
    optimizer = built(member(weight_decay=0.1), objective)
    trained(objective, optimizer, range(2))
    objective(torch.ones(5, 3)).backward()

    def refuse(name: str) -> Callable[..., Any]:
        def asked(*_: Any, **__: Any) -> Any:
            raise AssertionError(f"{name} waits for the device")

        return asked

    for name in ("item", "__bool__", "__float__", "__int__", "tolist", "numpy"):
        monkeypatch.setattr(torch.Tensor, name, refuse(name))
    optimizer.step()


def test_a_closure_gives_the_loss(member: type[BaseOptimizerConfig]) -> None:
    """Lightning hands optimizers a closure."""
    objective = SmallObjective()
    optimizer = built(member(), objective)
    seen: Mapping[str, list[bool]] = {"grad": []}

    def closure() -> torch.Tensor:
        seen["grad"].append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss: torch.Tensor = objective(torch.ones(5, 3))
        loss.backward()
        return loss

    expected = float(objective(torch.ones(5, 3)).detach())
    assert float(optimizer.step(closure).detach()) == expected
    assert seen["grad"] == [True]
