"""Adam, torch's own."""

from torch.optim import Adam, Optimizer

from eegfm.objectives.base import Objective
from eegfm.training.optimizers.config import AdamConfig
from eegfm.training.optimizers.groups import parameter_groups


def build_adam(config: AdamConfig, objective: Objective) -> Optimizer:
    """Build Adam over all parameters; a step is one call per group."""
    return Adam(
        parameter_groups(objective, config), lr=config.learning_rate, betas=config.betas, eps=config.eps, fused=True
    )
