"""LAMB (You et al., arXiv 1904.00962, algorithm 2), in few calls per step.

For a weight x with gradient g, step number t, and m, v the running means of g and g²:
r = (m / (1 - β1^t)) / (sqrt(v / (1 - β2^t)) + ε) + λ x, and x ← x - lr * (|x| / |r|) * r.
The ratio is 1 where one of the lengths is zero.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from eegfm.objectives.base import Objective
from eegfm.training.optimizers.config import LambConfig
from eegfm.training.optimizers.groups import parameter_groups


def build_lamb(config: LambConfig, objective: Objective) -> Optimizer:
    """LAMB over all parameters."""
    groups = [{**group, "adapts": group["decays"] or config.adapt_all} for group in parameter_groups(objective, config)]
    return Lamb(groups, config)


class Lamb(Optimizer):
    """Adam whose step of each matrix is as long as the matrix, times the learning rate.

    A step never waits for the device: lengths and their ratios stay there, and the number of steps that a parameter
    has taken is counted on the CPU. A parameter without a gradient is left as it is.

    Args:
        groups: Parameter groups with ``lr``, ``weight_decay`` and ``adapts`` (whether lengths are adapted).
        config: The other choices.
    """

    def __init__(self, groups: list[dict[str, Any]], config: LambConfig) -> None:
        names = ("betas", "eps", "trust_clip", "bias_correction")
        super().__init__(groups, {"lr": config.learning_rate, **{name: getattr(config, name) for name in names}})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; ``closure`` computes the loss again, as in torch's optimizers."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._move(group, parameters)
        return loss

    def _move(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        update = self._adam_step(group, parameters)
        if group["weight_decay"]:
            torch._foreach_add_(update, parameters, alpha=group["weight_decay"])
        if group["adapts"]:
            ratios = trust_ratios(parameters, update, group["trust_clip"])
            torch._foreach_mul_(update, list(ratios.unbind()))  # the one quantity with a kernel per parameter
        torch._foreach_add_(parameters, update, alpha=-group["lr"])

    def _adam_step(self, group: dict[str, Any], parameters: list[Tensor]) -> list[Tensor]:
        """The direction in which Adam would go, one new tensor per parameter."""
        states = [self._state_of(p) for p in parameters]
        gradients = [p.grad for p in parameters if p.grad is not None]
        means, squares = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
        (beta1, beta2), corrects = group["betas"], group["bias_correction"]
        for state in states:
            state["step"] += 1
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
        denominator = torch._foreach_sqrt(squares)
        if corrects:
            torch._foreach_div_(denominator, [math.sqrt(1 - beta2 ** s["step"]) for s in states])
        torch._foreach_add_(denominator, group["eps"])
        if corrects:
            torch._foreach_mul_(denominator, [1 - beta1 ** s["step"] for s in states])
        return list(torch._foreach_div(means, denominator))

    def _state_of(self, parameter: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        if not state:
            zeros = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            state.update(step=0, **zeros)
        return state


def trust_ratios(weights: list[Tensor], steps: list[Tensor], clip: float | None) -> Tensor:
    """(n,) length of each weight over that of its step, at most ``clip``; 1 where one of the two is zero."""
    of_weights, of_steps = (torch.stack(list(torch._foreach_norm(tensors))) for tensors in (weights, steps))
    ratios = torch.where((of_weights > 0) & (of_steps > 0), of_weights / of_steps, 1.0)
    return ratios if clip is None else ratios.clamp(max=clip)
