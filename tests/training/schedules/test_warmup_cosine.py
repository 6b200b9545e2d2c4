"""Shape of the learning rate."""

import math
from itertools import pairwise

import pytest
import torch

from eegfm.training.schedules.config import WarmupCosineConfig
from eegfm.training.schedules.warmup_cosine import warmup_cosine


def test_rises_to_the_peak_and_falls_to_the_end() -> None:
    config = WarmupCosineConfig(warmup_ratio=0.2, final_ratio=0.1)
    rates = [warmup_cosine(k, 50, config) for k in range(50)]
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.1)
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[30] == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 20 / 39)))


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_short_runs_stay_positive(n_steps: int) -> None:
    rates = [warmup_cosine(k, n_steps, WarmupCosineConfig()) for k in range(n_steps + 2)]
    assert all(0 < rate <= 1 for rate in rates)


def test_it_scales_the_optimizers_rate() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=4.0)
    schedule = WarmupCosineConfig(warmup_ratio=0.5).build(optimizer, 8, 8)
    rates = []
    for _ in range(4):
        rates.append(schedule.optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1.0, 2.0, 3.0, 4.0])
