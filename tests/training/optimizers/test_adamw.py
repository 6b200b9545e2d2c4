"""Choice of the parameters that decay."""

import torch
from torch import nn

from eegfm.training.optimizers.adamw import parameter_groups
from eegfm.training.optimizers.config import AdamWConfig


class Sample(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.norm = nn.LayerNorm(4)
        self.table = nn.Embedding(5, 4)
        self.token = nn.Parameter(torch.zeros(4))
        self.shared = self.linear
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def test_only_matrices_decay() -> None:
    module = Sample()
    decaying, others = parameter_groups(module, 0.1)
    assert decaying["weight_decay"] == 0.1
    assert others["weight_decay"] == 0.0
    assert [id(p) for p in decaying["params"]] == [id(module.linear.weight)]
    wanted = {
        id(p) for p in (module.linear.bias, module.norm.weight, module.norm.bias, module.table.weight, module.token)
    }
    assert {id(p) for p in others["params"]} == wanted


def test_a_module_names_what_does_not_decay() -> None:
    module = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 4, bias=False))
    module[0].no_weight_decay = ("weight",)  # its own; the other layer has a weight too
    decaying, others = parameter_groups(module, 0.1)
    assert [id(p) for p in decaying["params"]] == [id(module[1].weight)]
    assert [id(p) for p in others["params"]] == [id(module[0].weight)]


def test_adamw_takes_its_choices() -> None:
    optimizer = AdamWConfig(learning_rate=0.5, betas=(0.8, 0.9), weight_decay=0.2).build(Sample())
    first = optimizer.param_groups[0]
    assert isinstance(optimizer, torch.optim.AdamW)
    assert (first["lr"], first["betas"], first["weight_decay"]) == (0.5, (0.8, 0.9), 0.2)
