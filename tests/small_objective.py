"""An objective of a few weights of every kind, for tests of optimizers."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class SmallEncoder(nn.Module):
    """An embedding, a table, and two layers; the norm belongs to the last."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(3, 4)
        self.table = nn.Embedding(5, 4)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.kernel = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.norm = nn.LayerNorm(4)

    def depth_groups(self) -> list[list[nn.Parameter]]:
        first, last = self.layers
        return [
            [*self.embedding.parameters(), *self.table.parameters()],
            list(first.parameters()),
            [*last.parameters(), *self.kernel.parameters(), *self.norm.parameters()],
        ]

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x) + self.table.weight[: len(x)]
        for layer in self.layers:
            x = x + torch.tanh(layer(x))
        found: Tensor = self.norm(self.kernel(x.unsqueeze(1)).squeeze(1))
        return found


class SmallBackbone(nn.Module):
    """An adapter before the encoder."""

    def __init__(self, *, adapts: bool = True) -> None:
        super().__init__()
        self.adapter = nn.Linear(3, 3) if adapts else nn.Identity()
        self.encoder = SmallEncoder()


class SmallObjective(nn.Module):
    """Encoder, adapter, and a head with a token."""

    def __init__(self, *, adapts: bool = True, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.backbone = SmallBackbone(adapts=adapts)
            self.head = nn.Linear(4, 2)
            self.token = nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor) -> Tensor:
        loss: Tensor = self.head(self.backbone.encoder(self.backbone.adapter(x)) + self.token).square().mean()
        return loss


def windows(step: int) -> Tensor:
    """Input of a step."""
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(step))


def trained(objective: SmallObjective, optimizer: torch.optim.Optimizer, steps: range) -> list[Tensor]:
    """Weights after some steps."""
    for step in steps:
        optimizer.zero_grad()
        objective(windows(step)).backward()
        optimizer.step()
    return [p.detach().clone() for p in objective.parameters()]


def driven(
    objective: SmallObjective, optimizer: torch.optim.Optimizer, n_steps: int
) -> tuple[dict[str, list[NDArray[np.float64]]], dict[str, list[NDArray[np.float64]]]]:
    """Take steps with drawn gradients, of which some are zero.

    Returns:
        By name, the gradient of each step, and the weights before the first and after each.
    """
    draw = torch.Generator().manual_seed(7)
    gradients: dict[str, list[NDArray[np.float64]]] = {name: [] for name, _ in objective.named_parameters()}
    weights = {name: [p.detach().double().numpy().copy()] for name, p in objective.named_parameters()}
    for step in range(n_steps):
        for name, p in objective.named_parameters():
            p.grad = torch.randn(p.shape, generator=draw, dtype=torch.float64).to(p.dtype) * 0.1**step
            p.grad[0] = 0.0
            gradients[name].append(p.grad.double().numpy().copy())
        optimizer.step()
        for name, p in objective.named_parameters():
            weights[name].append(p.detach().double().numpy().copy())
    return gradients, weights


DECAYING = {
    "backbone.adapter.weight",
    "backbone.encoder.embedding.weight",
    "backbone.encoder.layers.0.weight",
    "backbone.encoder.layers.1.weight",
    "backbone.encoder.kernel.weight",
    "head.weight",
}
"""Names of the weights that decay."""
