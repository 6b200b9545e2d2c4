"""AdamW, torch's own."""

from torch.optim import AdamW, Optimizer

from eegfm.objectives.base import Objective
from eegfm.training.optimizers.config import AdamWConfig
from eegfm.training.optimizers.groups import parameter_groups


def build_adamw(config: AdamWConfig, objective: Objective) -> Optimizer:
    """Build AdamW over all parameters; a step is one call per group."""
    return AdamW(
        parameter_groups(objective, config), lr=config.learning_rate, betas=config.betas, eps=config.eps, fused=True
    )
