"""Frozen parts stay what they are bit by bit, whatever the optimizer does, and are released with their epoch."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from lightning import LightningModule, Trainer
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import dropout

from eegfm.batch import TrainStep
from eegfm.errors import ConfigError, TrainingError
from eegfm.objectives.base import Objective
from eegfm.training.blocks import FreezeRule
from eegfm.training.config import PretrainParams
from eegfm.training.freezing import Freezing, check_freezing
from eegfm.training.trainer import quieten

N_PER_EPOCH, N_STEPS = 3, 10
SGD = "sgd with momentum and weight decay"
ADAMW = "adamw with weight decay"


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm, self.p = nn.Linear(4, 4), nn.BatchNorm1d(4), 0.5

    def forward(self, x: Tensor) -> Tensor:
        return x + dropout(self.norm(self.linear(x)), self.p, self.training)


class Toy(nn.Module):
    """Named as an objective is: own weights beside a backbone of adapter and encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.adapter = nn.Linear(4, 4)
        self.backbone.encoder = nn.Module()
        self.backbone.encoder.layers = nn.ModuleList(Layer() for _ in range(2))
        self.backbone.encoder.token = nn.Parameter(torch.ones(4))
        self.decoder = nn.Linear(4, 1)
        self.decoder.unused = nn.Parameter(torch.ones(1), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(1))
        self.moved_parts: list[nn.Module] = []

    def forward(self, x: Tensor) -> Tensor:
        x = cast(Tensor, self.backbone.adapter(x)) + self.backbone.encoder.token
        for layer in cast(nn.ModuleList, self.backbone.encoder.layers):
            x = layer(x)
        return (self.decoder(x) * self.scale).square().mean()


NAMES = [
    *("backbone.adapter", "backbone.encoder.layers.0", "backbone.encoder.layers.1", "backbone.encoder.token"),
    *("decoder", "scale"),
]


class Module(LightningModule):
    """Take steps by hand as ``PretrainModule`` does, and note all weights before each and after the last."""

    def __init__(self, optimizer: str = SGD, n_parts: int = 1) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.n_steps, self.n_steps_per_epoch = N_STEPS, N_PER_EPOCH
        torch.manual_seed(0)
        self.objective, self.optimizer, self.n_parts = Toy(), optimizer, n_parts
        self.states: dict[int, dict[str, Tensor]] = {}
        self.trains: dict[int, set[str]] = {}

    def training_step(self, step: TrainStep, batch_idx: int) -> None:
        self.note(step.number)
        self.trains[step.number] = {name for name, part in self.objective.named_modules() if part.training}
        optimizer = cast(torch.optim.Optimizer, self.optimizers())
        optimizer.zero_grad(set_to_none=False)
        generator = torch.Generator().manual_seed(step.number)
        for _ in range(self.n_parts):
            self.manual_backward(self.objective(torch.randn(8, 4, generator=generator)))
        optimizer.step()
        self.note(step.number + 1)

    def validation_step(self, step: TrainStep, batch_idx: int) -> None:
        assert not self.objective.training

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.optimizer == SGD:
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
        return torch.optim.AdamW(self.parameters(), lr=0.1, weight_decay=0.1, fused=True)

    def note(self, n_done: int) -> None:
        self.states[n_done] = {name: value.clone() for name, value in self.objective.state_dict().items()}

    def moves(self, part: str) -> list[int]:
        """Steps that change anything of a part."""
        first = min(self.states)
        steps = range(first, max(self.states))
        names = [name for name in self.states[first] if f"{name}.".startswith(f"{part}.")]
        return [k for k in steps if any(not torch.equal(self.states[k][n], self.states[k + 1][n]) for n in names)]


class Steps:
    def __init__(self, *steps: int) -> None:
        self.steps = range(*steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[TrainStep]:
        return (TrainStep(number, [], 0) for number in self.steps)


def fit(
    module: Module,
    rules: Sequence[FreezeRule],
    first: int = 0,
    state: dict[str, Any] | None = None,
    *,
    freezing: Freezing | None = None,
    last: int = N_STEPS,
) -> Freezing:
    quieten()
    freezing = freezing or Freezing(rules, cast(Objective, module.objective))
    if state is not None:
        freezing.load_state_dict(state)
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[freezing], val_check_interval=2, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(module, Steps(first, last), Steps(1))
    return freezing


def rule(*parts: str, until: int | None = None) -> FreezeRule:
    return FreezeRule(parts=parts, until_epoch=until)


ALL = list(range(N_STEPS))


@pytest.mark.parametrize("n_parts", [1, 3])
@pytest.mark.parametrize("optimizer", [SGD, ADAMW])
def test_frozen_until_an_epoch_begins(optimizer: str, n_parts: int) -> None:
    module = Module(optimizer, n_parts)
    fit(module, [rule("adapter", "encoder.layers.0", until=1), rule("encoder.layers.1", until=2), rule("objective")])
    assert {name: module.moves(name) for name in NAMES} == {
        "backbone.adapter": ALL[3:],
        "backbone.encoder.layers.0": ALL[3:],
        "backbone.encoder.layers.1": ALL[6:],
        "backbone.encoder.token": ALL,
        "decoder": [],
        "scale": [],
    }
    assert not any(p.requires_grad or p.grad is not None for p in module.objective.decoder.parameters())
    assert all(p.requires_grad for p in module.objective.backbone.parameters())


def test_frozen_parts_are_in_evaluation_mode_also_after_a_validation() -> None:
    module = Module()
    fit(module, [rule("encoder.layers.0", until=2), rule("objective.decoder")])
    inside = {f"backbone.encoder.layers.0{name}" for name in ("", ".linear", ".norm")}
    for step, trains in module.trains.items():
        assert ("decoder" in trains, "backbone.adapter" in trains, "" in trains) == (False, True, True)
        assert inside & trains == (inside if step >= 2 * N_PER_EPOCH else set()), step
    assert module.moves("backbone.encoder.layers.1.norm.running_mean") == ALL
    assert module.moves("backbone.encoder.layers.0.norm.running_mean") == ALL[6:]


@pytest.mark.parametrize("first", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("has_state", [False, True])
def test_a_run_that_goes_on_freezes_by_the_epoch_alone(first: int, has_state: bool) -> None:
    module, rules = Module(), [rule("encoder", until=1), rule("adapter", until=2)]
    state = fit(Module(), rules, last=max(first, 2)).state_dict() if has_state else None
    fit(module, rules, first, state)
    assert module.moves("backbone.encoder") == [k for k in ALL if k >= max(first, 3)]
    assert module.moves("backbone.adapter") == [k for k in ALL if k >= max(first, 6)]
    assert "backbone.adapter" in module.trains[N_STEPS - 1]


@pytest.mark.parametrize("first", [2, 3, 4, 7])
def test_a_run_that_goes_on_compares_with_the_bits_of_its_start(first: int) -> None:
    """Whether they moved over the resume, also between the last step of an epoch and the next, or behind it."""
    rules = [rule("adapter", until=1), rule("objective.decoder", until=2), rule("encoder.layers.0")]
    state, module = fit(Module(), rules, last=first).state_dict(), Module()
    with torch.no_grad():
        module.objective.backbone.encoder.layers[0].linear.bias[0] += 1e-3  # type: ignore[index, union-attr]
    with pytest.raises(TrainingError, match=r"^frozen weights have moved: encoder\.layers\.0\.linear\.bias; "):
        Freezing(rules, cast(Objective, module.objective)).load_state_dict(state)
    digests = fit(Module(), rules, first, state).state_dict()["digests"]
    assert {name: state["digests"][name] for name in digests} == digests
    assert not any(name.startswith(("adapter", "objective.decoder")) for name in digests)


def test_of_two_rules_for_a_part_the_longer_one_counts() -> None:
    module = Module()
    fit(module, [rule("encoder", until=1), rule("encoder.layers.0.linear")])
    assert module.moves("backbone.encoder.layers.0.linear") == []
    assert module.moves("backbone.encoder.layers.0.norm") == module.moves("backbone.encoder.token") == ALL[3:]


@pytest.mark.parametrize("name", ["backbone.adapter.weight", "backbone.encoder.layers.1.norm.running_var"])
@pytest.mark.parametrize(("until", "at"), [(1, 2), (None, 9), (2, 0)])
def test_what_moves_frozen_weights_is_found(
    name: str, until: int | None, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another hand than the optimizer's: by the least bit, between two steps, the last one too."""
    module = Module()

    def move(outputs: Any, step: TrainStep, batch_idx: int) -> None:
        if step.number == at:
            value = module.objective.state_dict()[name].view(-1)[:1]
            value.copy_(torch.nextafter(value, torch.full_like(value, 9)))

    monkeypatch.setattr(module, "on_train_batch_end", move)
    with pytest.raises(TrainingError, match=rf"^frozen weights have moved: {name.removeprefix('backbone.')}; .*parts$"):
        fit(module, [rule("adapter", "encoder.layers.1", until=until)])


def refusal(*rules: FreezeRule, n_steps: int = N_STEPS) -> str:
    with pytest.raises(ConfigError) as info:
        check_freezing(cast(Objective, Toy()), rules, n_steps, N_PER_EPOCH, "adapt")
    return str(info.value)


def test_rules_that_cannot_be_meant() -> None:
    assert refusal(rule("encodr")) == (
        "adapt.freeze.parts names 'encodr', which has no weights; there are objective, adapter, encoder"
    )
    assert "there are encoder.token, encoder.layers" in refusal(rule("encoder.layer.0"))
    assert "there are encoder.layers.0, encoder.layers.1" in refusal(rule("encoder.layers.2"))
    assert "adapt.freeze.parts names 'encoder.layers.0.lin'" in refusal(rule("adapter", "encoder.layers.0.lin"))
    assert "adapt.freeze.parts names 'backbone'" in refusal(rule("backbone"))
    assert refusal(rule("adapter"), rule("encoder", "objective", until=1)) == (
        "adapt.freeze.parts names adapter, encoder, objective: all weights are frozen and nothing is trained; leave "
        "out one of them"
    )
    assert refusal(rule("adapter", until=4)) == (
        "adapt.freeze.until_epoch is 4, beyond the run of 4 epochs (counted from 0); give at most 3, or null to freeze "
        "to the end"
    )
    assert "is 3, beyond the run of 3 epochs" in refusal(rule("adapter", until=3), n_steps=9)


@pytest.mark.parametrize("part", ["objective", "objective.decoder"])
def test_what_follows_every_step_without_an_optimizer_is_not_frozen(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the end of the run, when its weights turn out to have moved."""
    build = Toy.__init__

    def with_teacher(toy: Toy) -> None:
        build(toy)
        toy.decoder.teacher = nn.Linear(2, 2).requires_grad_(False)
        toy.moved_parts.append(cast(nn.Module, toy.decoder.teacher))

    monkeypatch.setattr(Toy, "__init__", with_teacher)
    said = refusal(rule(part))
    assert said.startswith(
        f"adapt.freeze.parts names '{part}', of which objective.decoder.teacher follows every step without an optimizer"
    )
    others = {"objective": "objective.scale, objective.decoder", "objective.decoder": "objective.decoder.weight"}
    assert f"name the other parts of {others[part]}" in said


def test_rules_that_end_within_the_run_are_taken() -> None:
    check_freezing(cast(Objective, Toy()), [rule("adapter", until=3), rule("encoder")], N_STEPS, N_PER_EPOCH, "adapt")


def test_one_rule_or_a_list() -> None:
    plain = {"parts": ["adapter"], "until_epoch": 1}
    one, several = (PretrainParams.model_validate({"n_steps": 5, "freeze": of}) for of in (plain, [plain]))
    assert one.freeze == several.freeze == (rule("adapter", until=1),)
    assert one.identity()["freeze"] == [plain]
    assert PretrainParams(n_steps=5).freeze == ()
    with pytest.raises(ValidationError, match=r"is 3, beyond the run of 3 epochs \(counted from 0\); give at most 2"):
        PretrainParams.model_validate({"n_epochs": 3, "freeze": {"parts": ["adapter"], "until_epoch": 3}})
    for wrong in ({"parts": []}, {"parts": [""]}, {"parts": ["a"], "until_epoch": 0}, {"part": ["a"]}, "adapter"):
        with pytest.raises(ValidationError):
            PretrainParams.model_validate({"n_epochs": 3, "freeze": wrong})


def test_a_second_fit_of_one_module_releases_what_the_first_one_left_frozen() -> None:
    module = Module()
    rules = [rule("adapter", "objective", until=2)]
    freezing = Freezing(rules, cast(Objective, module.objective))
    fit(module, rules, 0, freezing=freezing, last=4)
    assert not module.objective.decoder.weight.requires_grad
    module.states = {}
    fit(module, rules, 4, freezing=freezing)
    assert module.moves("backbone.adapter") == module.moves("decoder.weight") == ALL[6:]
    assert not module.objective.decoder.unused.requires_grad, "braindecode has weights that nothing trains"


def test_nothing_is_done_without_rules() -> None:
    module = Module()
    freezing = fit(module, [])
    freezing.on_train_end(cast(Trainer, SimpleNamespace()), module)
    assert {name: module.moves(name) for name in NAMES} == dict.fromkeys(NAMES, ALL)
