"""Base of the optimizers that torch does not have: what torch and Lightning expect of a step."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch.optim import Optimizer


class OwnOptimizer(Optimizer):
    """Optimizer whose members say only how weights move."""

    # Torch declares two overloads, one without and one with a closure; this is both in one.
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step.

        Args:
            closure: Computes the loss and its gradients before the step. Lightning always gives one.

        Returns:
            The loss, None without a closure.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.move()
        return loss

    @abstractmethod
    def move(self) -> None:
        """Move all weights that have a gradient. No gradients are recorded meanwhile."""
