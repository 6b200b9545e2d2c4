"""The same rate in every step after the warm-up."""

from torch.optim import Optimizer

from eegfm.training.schedules.base import Schedule
from eegfm.training.schedules.config import ConstantConfig
from eegfm.training.schedules.curves import warmed


def build_constant(config: ConstantConfig, optimizer: Optimizer, n_steps: int, n_steps_per_epoch: int) -> Schedule:
    """Build a schedule that stays at the peak."""
    return Schedule(optimizer, warmed(config, n_steps, n_steps_per_epoch))
