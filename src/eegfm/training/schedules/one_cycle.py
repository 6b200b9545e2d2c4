"""One rise and one fall, each along half a cosine or a line."""

from torch.optim import Optimizer

from eegfm.training.schedules.base import Schedule
from eegfm.training.schedules.config import OneCycleConfig
from eegfm.training.schedules.curves import half_cosine, line


def build_one_cycle(config: OneCycleConfig, optimizer: Optimizer, n_steps: int, n_steps_per_epoch: int) -> Schedule:
    """Build a schedule over exactly ``n_steps`` steps, from ``initial_ratio`` to the peak and to ``final_ratio``."""
    between = half_cosine if config.shape == "cosine" else line
    peak = max(config.n_warmup_steps(n_steps, n_steps_per_epoch) - 1, 0)

    def curve(step: int) -> float:
        if step < peak:
            return between(config.initial_ratio, 1.0, step / peak)
        return between(1.0, config.final_ratio, (step - peak) / max(n_steps - 1 - peak, 1))

    return Schedule(optimizer, curve)
