"""Linear rise, then half a cosine."""

import math

from torch.optim import Optimizer

from eegfm.training.schedules.base import Schedule
from eegfm.training.schedules.config import WarmupCosineConfig


def build_warmup_cosine(
    config: WarmupCosineConfig, optimizer: Optimizer, n_steps: int, n_steps_per_epoch: int
) -> Schedule:
    """Schedule over exactly ``n_steps`` steps; the last step runs at ``final_ratio`` of the peak."""
    return Schedule(optimizer, lambda step: warmup_cosine(step, n_steps, config))


def warmup_cosine(step: int, n_steps: int, config: WarmupCosineConfig) -> float:
    """Learning rate of a step, counted from 0, over the peak."""
    n_warmup_steps = round(config.warmup_ratio * n_steps)
    if step < n_warmup_steps:
        return (step + 1) / n_warmup_steps
    n_falling_steps = max(n_steps - n_warmup_steps - 1, 1)
    progress = min((step - n_warmup_steps) / n_falling_steps, 1.0)
    return config.final_ratio + (1 - config.final_ratio) * 0.5 * (1 + math.cos(math.pi * progress))
