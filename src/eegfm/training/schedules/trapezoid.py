"""Linear rise, a stretch at the peak, linear fall."""

from torch.optim import Optimizer

from eegfm.training.schedules.base import Schedule
from eegfm.training.schedules.config import TrapezoidConfig
from eegfm.training.schedules.curves import line, warmed


def build_trapezoid(config: TrapezoidConfig, optimizer: Optimizer, n_steps: int, n_steps_per_epoch: int) -> Schedule:
    """Build a schedule over exactly ``n_steps`` steps; the last one runs at ``final_ratio`` of the peak."""
    n_falling = max(round(config.decay_ratio * n_steps), 1)

    def fall(step: int) -> float:
        n_fallen = step - (n_steps - n_falling) + 1
        return line(1.0, config.final_ratio, max(n_fallen, 0) / n_falling)

    return Schedule(optimizer, warmed(config, n_steps, n_steps_per_epoch, fall))
