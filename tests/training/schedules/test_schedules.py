"""Curves of all schedules against loops of their own, and against torch where it has the same one."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch.optim import SGD, lr_scheduler

from eegfm.training.schedules.base import Schedule
from eegfm.training.schedules.config import (
    ConstantConfig,
    CosineConfig,
    MultiStepConfig,
    OneCycleConfig,
    PlateauConfig,
    ScheduleConfig,
    StepConfig,
    TrapezoidConfig,
    WarmupCosineConfig,
)
from eegfm.training.schedules.warmed import ScheduleBase

N, PER_EPOCH = 60, 7
PEAKS = (4.0, 0.5)
"""Of two parameter groups."""


def optimizer() -> SGD:
    return SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": peak} for peak in PEAKS])


def rates(schedule: Any, n_steps: int = N, validations: Callable[[int], float] | None = None) -> list[list[float]]:
    """Learning rates of every step, by parameter group; validations follow every third step."""
    found = []
    for step in range(n_steps):
        found.append([group["lr"] for group in schedule.optimizer.param_groups])
        schedule.optimizer.step()
        if validations is not None and (step + 1) % 3 == 0:
            schedule.observe({"val/loss": validations(step), "val/loss/tuh": -validations(step)})
        schedule.step()
    return found


def curve(config: ScheduleBase, n_steps: int = N, validations: Callable[[int], float] | None = None) -> list[float]:
    found = rates(config.build(optimizer(), n_steps, PER_EPOCH), n_steps, validations)
    for one in found:
        assert one[0] / PEAKS[0] == pytest.approx(one[1] / PEAKS[1]), "all groups follow one curve"
    return [one[0] / PEAKS[0] for one in found]


def rise(n: int, begin: float = 0.0, n_steps: int = N) -> list[float]:
    """1 after n steps, by steps of one size from begin."""
    found, value = [], begin
    for step in range(n_steps):
        if step < n:
            value += (1 - begin) / n
        found.append(value if step < n else 1.0)
    return found


def falling_cosine(n_before: int, end: float) -> list[float]:
    """By the rotation of a point on a circle, a step at a time: no cosine of the step's own angle."""
    found = [1.0] * n_before
    x, y = 1.0, 0.0
    c, s = math.cos(math.pi / (N - n_before - 1)), math.sin(math.pi / (N - n_before - 1))
    for _ in range(N - n_before):
        found.append(end + (1 - end) * (1 + x) / 2)
        x, y = x * c - y * s, x * s + y * c
    return found


def product(*curves: list[float]) -> list[float]:
    return [math.prod(values) for values in zip(*curves, strict=True)]


def powers(gamma: float, falls: list[int]) -> list[float]:
    found, value = [], 1.0
    for step in range(N):
        value *= gamma ** falls.count(step)
        found.append(value)
    return found


EXPECTED: list[tuple[ScheduleBase, list[float]]] = [
    (WarmupCosineConfig(), product(rise(6), falling_cosine(6, 0.01))),
    (WarmupCosineConfig(warmup_steps=11, final_ratio=0.3), product(rise(11), falling_cosine(11, 0.3))),
    (
        WarmupCosineConfig(warmup_epochs=1.5, initial_ratio=0.25, final_ratio=0),
        product(rise(10, 0.25), falling_cosine(10, 0)),
    ),
    (CosineConfig(), falling_cosine(0, 0.01)),
    (CosineConfig(final_ratio=0.5), falling_cosine(0, 0.5)),
    (StepConfig(), powers(0.5, [7, 14, 21, 28, 35, 42, 49, 56])),
    (StepConfig(every_epochs=3, gamma=0.9, warmup_steps=4), product(rise(4), powers(0.9, [21, 42]))),
    (MultiStepConfig(milestones=(2, 5)), powers(0.1, [14, 35])),
    (
        MultiStepConfig(milestones=(1, 2.5, 8), gamma=0.7, warmup_epochs=1, initial_ratio=0.1),
        product(rise(7, 0.1), powers(0.7, [7, 18, 56])),
    ),
    (TrapezoidConfig(), [*rise(6)[:48], *(k / 12 for k in range(11, -1, -1))]),
    (
        TrapezoidConfig(warmup_steps=3, decay_ratio=0.5, final_ratio=0.4),
        [*rise(3)[:30], *(1 - 0.6 * k / 30 for k in range(1, 31))],
    ),
    (TrapezoidConfig(warmup_ratio=0.5, decay_ratio=0.5), [*rise(30)[:30], *(1 - k / 30 for k in range(1, 31))]),
    (ConstantConfig(), [1.0] * N),
    (ConstantConfig(warmup_steps=20, initial_ratio=0.5), rise(20, 0.5)),
    (OneCycleConfig(shape="linear", warmup_steps=11, initial_ratio=0.5, final_ratio=0.02),
     [*(0.5 + 0.05 * k for k in range(10)), *(1 - 0.02 * k for k in range(50))]),
    (PlateauConfig(warmup_steps=5), rise(5)),
]  # fmt: skip


@pytest.mark.parametrize(("config", "expected"), EXPECTED, ids=lambda value: getattr(value, "name", ""))
def test_the_curve_is_that_of_a_loop(config: ScheduleBase, expected: list[float]) -> None:
    assert curve(config) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_every_member_has_a_loop() -> None:
    union = TypeAdapter(ScheduleConfig).json_schema()["discriminator"]["mapping"]
    assert {config.name for config, _ in EXPECTED} == set(union)


TORCH: list[tuple[ScheduleBase, Callable[[SGD], Any]]] = [
    (StepConfig(every_epochs=2, gamma=0.4), lambda o: lr_scheduler.StepLR(o, 14, 0.4)),
    (MultiStepConfig(milestones=(2, 5), gamma=0.3), lambda o: lr_scheduler.MultiStepLR(o, [14, 35], 0.3)),
    (ConstantConfig(), lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    (ConstantConfig(warmup_steps=9), lambda o: lr_scheduler.LinearLR(o, 1 / 9, 1.0, 8)),
    *(
        (
            OneCycleConfig(warmup_ratio=share, shape=shape, initial_ratio=0.1, final_ratio=0.003),
            lambda o, share=share, name=name: lr_scheduler.OneCycleLR(
                o, list(PEAKS), N, pct_start=share, anneal_strategy=name, cycle_momentum=False, div_factor=10,
                final_div_factor=0.1 / 0.003,
            ),
        )
        for share in (0.3, 0.75)
        for shape, name in (("cosine", "cos"), ("linear", "linear"))
    ),
]  # fmt: skip


@pytest.mark.parametrize(("config", "build"), TORCH, ids=lambda value: getattr(value, "name", ""))
def test_the_curve_is_that_of_torch(config: ScheduleBase, build: Callable[[SGD], Any]) -> None:
    theirs = rates(build(optimizer()))
    ours = rates(config.build(optimizer(), N, PER_EPOCH))
    assert [rate for one in ours for rate in one] == pytest.approx([rate for one in theirs for rate in one], rel=1e-9)


def test_a_cosine_is_that_of_torch() -> None:
    """One group at a time: torch has one last rate for all of them."""
    theirs = SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAKS[0])
    found = rates(lr_scheduler.CosineAnnealingLR(theirs, N - 1, 0.2 * PEAKS[0]))
    assert curve(CosineConfig(final_ratio=0.2)) == pytest.approx([one[0] / PEAKS[0] for one in found], rel=1e-9)


CHANGED: dict[str, Any] = {
    "warmup_ratio": 0.5, "warmup_steps": 9, "warmup_epochs": 2, "initial_ratio": 0.7, "final_ratio": 0.6,
    "every_epochs": 3, "gamma": 0.25, "milestones": (4,), "factor": 0.35, "patience": 4, "threshold": 0.5,
    "min_ratio": 0.07, "decay_ratio": 0.4, "shape": "linear", "monitor": "val/loss/tuh",
    "mode": "max",
}  # fmt: skip
"""Another value than the default of every field of every member."""
MEMBERS: list[ScheduleBase] = [
    WarmupCosineConfig(),
    CosineConfig(),
    StepConfig(warmup_ratio=0.1),
    MultiStepConfig(milestones=(2, 5), warmup_ratio=0.1),
    PlateauConfig(warmup_ratio=0.1, patience=1),
    OneCycleConfig(),
    TrapezoidConfig(),
    ConstantConfig(warmup_ratio=0.1),
]


def falls_then_rises(step: int) -> float:
    return 1.0 + abs(step - 20) / 40


@pytest.mark.parametrize(
    ("config", "field"),
    [(config, field) for config in MEMBERS for field in type(config).model_fields if field != "name"],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_field_changes_the_curve(config: ScheduleBase, field: str) -> None:
    given = config.model_dump()
    if field in ("warmup_steps", "warmup_epochs"):
        given["warmup_ratio"] = None
    if field == "mode":  # the name of a value that can be either
        given["monitor"] = "val/other"
    changed = type(config).model_validate({**given, field: CHANGED[field]})
    before = type(config).model_validate(
        {**given, "warmup_ratio": 0.1} if given.get("warmup_ratio", 0) is None else given
    )

    def followed(one: ScheduleBase) -> list[float]:
        schedule: Schedule = one.build(optimizer(), N, PER_EPOCH)
        found = []
        for step in range(N):
            found.append(schedule.optimizer.param_groups[0]["lr"])
            if step % 3 == 2:
                value = falls_then_rises(step)
                schedule.observe({"val/loss": value, "val/other": value, "val/loss/tuh": -value})
            schedule.step()
        return found

    assert followed(before) != followed(changed)


def test_rises_to_the_peak_and_falls_to_the_end() -> None:
    found = curve(WarmupCosineConfig(warmup_ratio=0.2, final_ratio=0.1), 50)
    assert found[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert found[10] == pytest.approx(1.0)
    assert found[-1] == pytest.approx(0.1)
    assert all(a > b for a, b in pairwise(found[10:]))


@pytest.mark.parametrize("n_steps", [1, 2, 3])
@pytest.mark.parametrize("config", MEMBERS, ids=lambda config: config.name)
def test_short_runs_stay_positive(config: ScheduleBase, n_steps: int) -> None:
    schedule = config.build(optimizer(), n_steps, 1)
    found = rates(schedule, n_steps + 2)
    assert all(0 <= rate <= peak for one in found for rate, peak in zip(one, PEAKS, strict=True))
    assert config.name == "trapezoid" or found[0][0] > 0


@pytest.mark.parametrize("config", MEMBERS, ids=lambda config: config.name)
def test_a_schedule_goes_on_where_another_was(config: ScheduleBase) -> None:
    def watch(schedule: Schedule, steps: range) -> list[float]:
        found = []
        for step in steps:
            found.append(schedule.optimizer.param_groups[0]["lr"])
            schedule.step()
            if step % 3 == 2:
                schedule.observe({"val/loss": falls_then_rises(step)})
        return found

    whole = watch(config.build(optimizer(), N, PER_EPOCH), range(N))
    for n_done in (1, 15, 24, 40, 59):
        first = config.build(optimizer(), N, PER_EPOCH)
        begun = watch(first, range(n_done))
        second = config.build(optimizer(), N, PER_EPOCH)
        second.load_state_dict(first.state_dict())
        assert begun + watch(second, range(n_done, N)) == whole
