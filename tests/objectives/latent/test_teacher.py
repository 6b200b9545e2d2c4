"""The teacher follows the backbone as a moving average, and nothing else moves it."""

import pytest
import torch
from torch import nn

from eegfm.encoders.config import GruConfig, PatchTransformerConfig
from eegfm.nn.context import Context
from eegfm.objectives.config import JepaConfig
from eegfm.objectives.latent.teacher import Teacher
from eegfm.training.optimizers.config import AdamWConfig
from latent_windows import backbone, build, windows


def moved(module: nn.Module, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=draw))


def test_it_is_the_moving_average_of_a_loop_in_float64() -> None:
    trained, n_steps = backbone(), 7
    teacher = Teacher(trained, 0.9)
    expected = {name: value.detach().double() for name, value in trained.named_parameters()}
    for step in range(n_steps):
        moved(trained, step)
        teacher.follow(trained, Context(step=step, n_steps=n_steps))
        decay = 0.9 + 0.1 * step / n_steps
        for name, value in trained.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * value.detach().double()
    found = dict(teacher.backbone.named_buffers())
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double(), value, rtol=1e-5, atol=1e-6)


def test_running_statistics_are_those_of_the_backbone() -> None:
    trained = backbone()
    trained.encoder.add_module("norm", nn.BatchNorm1d(3))
    teacher = Teacher(trained, 0.5)
    trained.encoder.norm(torch.randn(8, 3))
    teacher.follow(trained, Context())
    assert torch.equal(teacher.backbone.encoder.norm.running_mean, trained.encoder.norm.running_mean)
    assert int(teacher.backbone.encoder.norm.num_batches_tracked) == 1
    assert not teacher.train().backbone.encoder.norm.training


def test_no_optimizer_sees_it_and_the_objective_saves_it() -> None:
    objective = build(JepaConfig())
    assert not list(objective.teacher.parameters())
    optimizer = AdamWConfig(learning_rate=0.1).build(objective)
    groups = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert groups == {id(p) for p in objective.parameters()}
    saved = {name.removeprefix("teacher.backbone.") for name in objective.own_state() if name.startswith("teacher.")}
    assert saved == set(objective.backbone.state_dict())
    before = {name: value.clone() for name, value in objective.teacher.state_dict().items()}
    objective.train()
    objective(windows(), Context()).loss.backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in objective.teacher.state_dict().items())
    objective.after_step(Context())
    assert not all(torch.equal(value, before[name]) for name, value in objective.teacher.state_dict().items())


def test_it_never_drops_anything_and_has_no_gradient() -> None:
    teacher = Teacher(backbone(PatchTransformerConfig(d_model=32, head_size=16, n_layers=1, dropout_ratio=0.5)), 0.9)
    teacher.train()
    first, again = teacher(windows()), teacher(windows())
    assert torch.equal(first, again)
    assert not first.requires_grad
    assert first.dtype == torch.float32


@pytest.mark.parametrize(
    "encoder", [PatchTransformerConfig(d_model=32, head_size=16, n_layers=1), GruConfig(d_model=8)]
)
def test_it_computes_with_the_weights_that_it_holds(encoder: PatchTransformerConfig | GruConfig) -> None:
    """Recurrent layers keep lists of their weights, which must be these."""
    trained, batch = backbone(encoder), windows()
    teacher = Teacher(trained, 0.9)
    assert torch.equal(teacher(batch), trained.eval()(batch).vectors)
    moved(trained, 1)
    assert not torch.allclose(teacher(batch), trained(batch).vectors, atol=1e-3)
    teacher.copy_of(trained)
    torch.testing.assert_close(teacher(batch), trained(batch).vectors)


def test_a_shared_weight_is_moved_once() -> None:
    trained = backbone()
    trained.encoder.add_module("first", nn.Linear(2, 2))
    trained.encoder.add_module("second", nn.Linear(2, 2))
    trained.encoder.second.weight = trained.encoder.first.weight
    teacher, before = Teacher(trained, 0.5), trained.encoder.first.weight.detach().clone()
    moved(trained, 1)
    teacher.follow(trained, Context())
    for part in (teacher.backbone.encoder.first, teacher.backbone.encoder.second):
        torch.testing.assert_close(part.weight, (before + trained.encoder.first.weight.detach()) / 2)


def test_it_begins_with_the_weights_that_training_begins_with() -> None:
    objective = build(JepaConfig())
    moved(objective.backbone, 3)  # a start was loaded
    objective.setup([], Context())
    torch.testing.assert_close(objective.teacher(windows()), objective.backbone(windows()).vectors)


def test_it_sees_untouched_windows() -> None:
    objective = build(JepaConfig(augment=[{"name": "noise"}]))
    plain = build(JepaConfig())
    seen = []
    for each in (objective, plain):
        each.teacher.backbone.encoder.tokenize = lambda batch: seen.append(batch["signal"]) or 1 / 0
        with pytest.raises(ZeroDivisionError):
            each(windows(), Context())
    assert torch.equal(seen[0], seen[1])


def test_a_run_that_goes_on_has_the_same_teacher() -> None:
    """To the last bit: four steps, and two, saved and loaded, and two."""

    def steps(objective: object, optimizer: torch.optim.Optimizer, numbers: range) -> None:
        for step in numbers:
            context = Context(step=step, n_steps=4)
            optimizer.zero_grad()
            objective(windows(seed=step), context).loss.backward()
            optimizer.step()
            objective.after_step(context)

    config = JepaConfig(teacher_decay=0.5)
    through, first, second = build(config), build(config), build(config)
    optimizers = [torch.optim.SGD(each.parameters(), lr=0.1) for each in (through, first, second)]
    steps(through, optimizers[0], range(4))
    steps(first, optimizers[1], range(2))
    moved(second, 5)
    second.load_state_dict(first.state_dict(), strict=True)
    steps(second, optimizers[2], range(2, 4))
    assert all(torch.equal(value, through.state_dict()[name]) for name, value in second.state_dict().items())
