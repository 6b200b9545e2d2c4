"""Half a cosine."""

from torch.optim import Optimizer

from eegfm.training.schedules.base import Schedule
from eegfm.training.schedules.config import CosineConfig
from eegfm.training.schedules.curves import half_cosine, progress_after


def build_cosine(config: CosineConfig, optimizer: Optimizer, n_steps: int, n_steps_per_epoch: int) -> Schedule:
    """Build a schedule over exactly ``n_steps`` steps; the first is at the peak, the last at ``final_ratio`` of it."""
    return Schedule(optimizer, lambda step: half_cosine(1.0, config.final_ratio, progress_after(step, 0, n_steps)))
