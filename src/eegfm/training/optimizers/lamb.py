"""LAMB (You et al., arXiv 1904.00962, algorithm 2), in few calls per step.

For a weight x with gradient g, step number t, and m, v the running means of g and g²:
r = (m / (1 - β1^t)) / (sqrt(v / (1 - β2^t)) + ε) + λ x, and x ← x - lr * (|x| / |r|) * r.
The ratio is 1 where one of the lengths is zero.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.adam import adam

from eegfm.objectives.base import Objective
from eegfm.training.optimizers.base import OwnOptimizer
from eegfm.training.optimizers.config import LambConfig
from eegfm.training.optimizers.groups import parameter_groups

_NO_CORRECTION = 1e9
"""Number of steps after which Adam corrects nothing any more."""


def build_lamb(config: LambConfig, objective: Objective) -> Optimizer:
    """Build LAMB over all parameters."""
    groups = [{**group, "adapts": group["decays"] or config.adapt_all} for group in parameter_groups(objective, config)]
    return Lamb(groups, config)


class Lamb(OwnOptimizer):
    """Adam whose step of each matrix is as long as the matrix, times the learning rate.

    A step never waits for the device: lengths, their ratios and the number of steps of each parameter stay there. A
    parameter without a gradient is left as it is.

    Args:
        groups: Parameter groups with ``lr``, ``weight_decay`` and ``adapts`` (whether lengths are adapted).
        config: The other choices.
    """

    def __init__(self, groups: list[dict[str, Any]], config: LambConfig) -> None:
        names = ("betas", "eps", "trust_clip", "bias_correction")
        # "fused" makes torch put the numbers of steps of a loaded state where the weights are.
        defaults = {"lr": config.learning_rate, "fused": True, **{name: getattr(config, name) for name in names}}
        super().__init__(groups, defaults)

    def move(self) -> None:
        """Move all weights that have a gradient, group by group."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._move_group(group, parameters)

    def _move_group(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        update = self._adam_step(group, parameters)
        if group["weight_decay"]:
            torch._foreach_add_(update, parameters, alpha=group["weight_decay"])
        if group["adapts"]:
            ratios = trust_ratios(parameters, update, group["trust_clip"])
            # The one call that is a kernel per parameter on a GPU: each has a ratio of its own, which stays there.
            torch._foreach_addcmul_(parameters, update, list(ratios.unbind()), value=-group["lr"])
        else:
            torch._foreach_add_(parameters, update, alpha=-group["lr"])

    def _adam_step(self, group: dict[str, Any], parameters: list[Tensor]) -> list[Tensor]:
        """The direction in which Adam would go: what torch's fused Adam adds to weights of zero at a rate of one."""
        states = [self._state_of(p) for p in parameters]
        steps = [state["step"] for state in states]
        if not group["bias_correction"]:
            steps = list(torch._foreach_add(steps, _NO_CORRECTION))
        direction = _zeros_like_all(parameters)
        beta1, beta2 = group["betas"]
        adam(
            direction,
            [p.grad for p in parameters if p.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=-1.0,
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )
        return direction

    def _state_of(self, parameter: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            zeros = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            state.update(step=torch.zeros((), device=parameter.device), **zeros)
        return state


def _zeros_like_all(tensors: list[Tensor]) -> list[Tensor]:
    """Zeros of the shapes of some tensors of one kind, parts of one piece of memory."""
    flat = torch.zeros(sum(t.numel() for t in tensors), dtype=tensors[0].dtype, device=tensors[0].device)
    parts = torch.split(flat, [t.numel() for t in tensors])
    return [part.view(t.shape) for part, t in zip(parts, tensors, strict=True)]


def trust_ratios(weights: list[Tensor], steps: list[Tensor], clip: float | None) -> Tensor:
    """Divide the length of each weight by that of its step: (n,) ratios up to ``clip``, 1 where a length is zero."""
    of_weights, of_steps = (torch.stack(list(torch._foreach_norm(tensors))) for tensors in (weights, steps))
    ratios = torch.where((of_weights > 0) & (of_steps > 0), of_weights / of_steps, 1.0)
    return ratios if clip is None else ratios.clamp(max=clip)
