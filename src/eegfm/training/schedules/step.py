"""A fall every so many epochs."""

from torch.optim import Optimizer

from eegfm.training.schedules.base import Schedule
from eegfm.training.schedules.config import StepConfig
from eegfm.training.schedules.curves import warmed


def build_step(config: StepConfig, optimizer: Optimizer, n_steps: int, n_steps_per_epoch: int) -> Schedule:
    """Build a schedule that multiplies by ``gamma`` every ``every_epochs``; fractions of epochs become whole steps."""
    n_between = max(round(config.every_epochs * n_steps_per_epoch), 1)
    falls = warmed(config, n_steps, n_steps_per_epoch, lambda step: config.gamma ** (step // n_between))
    return Schedule(optimizer, falls)
