"""Linear rise, then half a cosine."""

from torch.optim import Optimizer

from eegfm.training.schedules.base import Schedule
from eegfm.training.schedules.config import WarmupCosineConfig
from eegfm.training.schedules.curves import half_cosine, progress_after, warmed


def build_warmup_cosine(
    config: WarmupCosineConfig, optimizer: Optimizer, n_steps: int, n_steps_per_epoch: int
) -> Schedule:
    """Build a schedule over exactly ``n_steps`` steps; the last step runs at ``final_ratio`` of the peak."""
    n_rising = config.n_warmup_steps(n_steps, n_steps_per_epoch)

    def fall(step: int) -> float:
        return half_cosine(1.0, config.final_ratio, max(progress_after(step, n_rising, n_steps), 0.0))

    return Schedule(optimizer, warmed(config, n_steps, n_steps_per_epoch, fall))
