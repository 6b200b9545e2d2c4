"""A fall at each of some epochs."""

from bisect import bisect_right

from torch.optim import Optimizer

from eegfm.training.schedules.base import Schedule
from eegfm.training.schedules.config import MultiStepConfig
from eegfm.training.schedules.curves import warmed


def build_multi_step(config: MultiStepConfig, optimizer: Optimizer, n_steps: int, n_steps_per_epoch: int) -> Schedule:
    """Build a schedule that multiplies by ``gamma`` at each milestone; they count from the first step of the run."""
    ends = [round(epoch * n_steps_per_epoch) for epoch in config.milestones]
    falls = warmed(config, n_steps, n_steps_per_epoch, lambda step: config.gamma ** bisect_right(ends, step))
    return Schedule(optimizer, falls)
