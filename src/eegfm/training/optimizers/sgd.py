"""Stochastic gradient descent, torch's own."""

from torch.optim import SGD, Optimizer

from eegfm.objectives.base import Objective
from eegfm.training.optimizers.config import SgdConfig
from eegfm.training.optimizers.groups import parameter_groups


def build_sgd(config: SgdConfig, objective: Objective) -> Optimizer:
    """Build SGD over all parameters.

    Few calls per step, but not one: torch's fused SGD fails when a parameter that was frozen is released.
    """
    return SGD(
        parameter_groups(objective, config),
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        foreach=True,
    )
