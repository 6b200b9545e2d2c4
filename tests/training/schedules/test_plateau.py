"""The rate falls when a value of the validations no longer gets better."""

import math

import numpy as np
import pytest
import torch
from torch.optim import SGD, lr_scheduler

from eegfm.errors import ConfigError
from eegfm.training.schedules.config import PlateauConfig

N_VALIDATIONS = 80


def optimizer() -> SGD:
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(("patience", "threshold", "min_ratio"), [(0, 0.0, 0.0), (3, 1e-4, 0.02), (2, 0.05, 0.3)])
def test_it_falls_when_torch_does(seed: int, mode: str, patience: int, threshold: float, min_ratio: float) -> None:
    drawn = np.random.default_rng(seed).normal(size=N_VALIDATIONS)
    values = 3 + 2 / (1 + np.arange(N_VALIDATIONS)) + 0.1 * drawn
    config = PlateauConfig(
        monitor="val/accuracy", mode=mode, factor=0.5, patience=patience, threshold=threshold, min_ratio=min_ratio
    )
    ours, theirs = config.build(optimizer(), 10_000, 100), optimizer()
    theirs_schedule = lr_scheduler.ReduceLROnPlateau(
        theirs, mode=mode, factor=0.5, patience=patience, threshold=threshold, min_lr=2 * min_ratio, eps=0
    )
    ours.step()
    for value in values.tolist():
        ours.observe({"val/accuracy": value, "val/loss": 0.0})
        theirs_schedule.step(value)
        assert ours.optimizer.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12)
    assert theirs.param_groups[0]["lr"] < 2.0, "it fell"


def test_a_loop_written_out() -> None:
    config = PlateauConfig(monitor="val/r2", mode="max", factor=0.1, patience=1, threshold=0.1)
    schedule = config.build(optimizer(), 1000, 10)
    schedule.step()
    found = []
    #        no best, best, better, not enough, one too many; NaN and worse; below the threshold, then beyond it
    for value in (math.nan, -1.0, -0.8, -0.75, -0.76, math.nan, -0.9, -0.73, -0.6):
        schedule.observe({"val/r2": value})
        found.append(schedule.optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([2, 2, 2, 2, 0.2, 0.2, 0.02, 0.02, 0.02])


def test_validations_of_the_warm_up_are_seen_and_not_counted() -> None:
    schedule = PlateauConfig(patience=0, factor=0.5, warmup_steps=4).build(optimizer(), 100, 10)
    found = []
    for value in (1.0, 2.0, 2.0, 2.0, 0.9, 0.95):
        schedule.step()
        schedule.observe({"val/loss": value})
        found.append(schedule.optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([1.0, 1.5, 2.0, 2.0, 2.0, 1.0])


def test_an_unknown_value_is_one_line_that_lists_the_known_ones() -> None:
    schedule = PlateauConfig(monitor="val/loss/tuhh").build(optimizer(), 100, 10)
    with pytest.raises(ConfigError, match=r"schedule\.monitor 'val/loss/tuhh' .*choose one of val/loss, val/loss/tuh$"):
        schedule.observe({"val/loss/tuh": 1.0, "val/loss": 1.0})
