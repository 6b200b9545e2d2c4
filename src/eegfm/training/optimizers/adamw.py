"""AdamW, torch's own."""

from torch import nn
from torch.optim import AdamW, Optimizer

from eegfm.training.optimizers.config import AdamWConfig
from eegfm.training.optimizers.groups import parameter_groups


def build_adamw(config: AdamWConfig, module: nn.Module) -> Optimizer:
    """AdamW over a module's trainable parameters."""
    return AdamW(
        parameter_groups(module, config.weight_decay),
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.eps,
        fused=True,
    )
