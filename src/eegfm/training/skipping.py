"""Leave out optimizer steps whose loss or gradient is not finite, without waiting for the device."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from eegfm.errors import TrainingError

logger = logging.getLogger(__name__)


class SkippedSteps:
    """Count of the steps that were left out, on the device, and the limit to it.

    A step counts as taken for the plan, the schedule and the number of steps. Weights, the optimizer's state and
    buffers such as running means stay as they were.

    Args:
        max_skipped: Largest number of steps of a run that may be left out.
        remedy: What the error advises.
    """

    def __init__(self, max_skipped: int, remedy: str = "") -> None:
        self.max_skipped, self._remedy = max_skipped, remedy
        self._counts: Tensor | None = None  # number of steps that were left out, and the last of them, from 1
        self._n_said = 0

    @property
    def n_skipped(self) -> int:
        """Steps that were left out so far. This waits for the device."""
        return self._seen()[0]

    def count(self, is_finite: Tensor, number: int) -> None:
        """Count one step.

        Args:
            is_finite: Whether the step is taken; a boolean scalar on the device.
            number: Number of the step, counted from 0.
        """
        if self._counts is None:
            self._counts = torch.zeros(2, dtype=torch.int64, device=is_finite.device)
        self._counts = self._counts.to(is_finite.device)  # those of a state are on the CPU at first
        n, last = self._counts.unbind()
        self._counts = torch.stack([n + ~is_finite, torch.where(is_finite, last, number + 1)])

    def check(self) -> None:
        """Log what was left out since the last look. This waits for the device.

        Raises:
            TrainingError: More steps than allowed were left out.
        """
        n, last = self._seen()
        if n > self.max_skipped:
            raise TrainingError(
                f"loss or gradient of step {last} is not finite, and {n} steps were left out for that, more than "
                f"max_skipped_steps {self.max_skipped} allows; the last checkpoint is kept{self._remedy}"
            )
        if n > self._n_said:
            self._n_said = n
            logger.warning(
                "Loss or gradient of step %d is not finite, and it was left out; %d of at most %d (max_skipped_steps)",
                *(last, n, self.max_skipped),
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the count, and the last step that was left out."""
        n, last = self._seen()
        return {"n_skipped": n, "last_skipped": last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        self._counts = torch.tensor([int(state["n_skipped"]), int(state["last_skipped"])])
        self._n_said = int(state["n_skipped"])

    def _seen(self) -> tuple[int, int]:
        if self._counts is None:
            return 0, 0
        n, last = self._counts.tolist()
        return n, last


class KeptBuffers:
    """Copies of a module's persistent buffers, such as running means, from before a step.

    Args:
        module: The module whose forward pass may change them.
        follows: Whether something follows each step besides the optimizer, such as a teacher: weights that are not
            trained are kept too then.
    """

    def __init__(self, module: nn.Module, *, follows: bool = False) -> None:
        saved = set(module.state_dict(keep_vars=True))
        self._places = [
            (owner, name)
            for prefix, owner in module.named_modules()
            for name in owner._buffers
            if f"{prefix}.{name}".lstrip(".") in saved
        ]
        if follows:
            self._places += [
                (owner, name)
                for owner in module.modules()
                for name, weight in owner._parameters.items()
                if weight is not None and not weight.requires_grad
            ]
        self._kept: list[Tensor] = []

    def keep(self) -> None:
        """Copy what they are now."""
        self._kept = [buffer.detach().clone() for buffer in self._buffers()]

    @torch.no_grad()
    def put_back_unless(self, is_finite: Tensor) -> None:
        """Put the copies back if the step was left out."""
        for buffer, kept in zip(self._buffers(), self._kept, strict=True):
            buffer.copy_(torch.where(is_finite, buffer, kept))
        self._kept = []

    def _buffers(self) -> Iterator[Tensor]:
        return (getattr(owner, name) for owner, name in self._places)


def guarded_step(optimizer: Optimizer, is_finite: Tensor, step: Callable[[], object] | None = None) -> None:
    """Let an optimizer take its step, or leave everything as it was, as the device decides.

    Optimizers of torch that are fused skip a step by themselves (``found_inf``). Of others, weights and state are
    copied before the step, and put back where it must not count: that takes their memory a second time for a moment.

    Args:
        optimizer: The optimizer, with gradients in place.
        is_finite: Whether the step is to be taken; a boolean scalar on the device.
        step: Takes the step; the optimizer's own by default.
    """
    step = step or optimizer.step
    if _skips_by_itself(optimizer):
        # Torch's own scaler of gradients sets these attributes, which the class does not declare.
        optimizer.grad_scale, optimizer.found_inf = None, (~is_finite).to(torch.float32)  # type: ignore[attr-defined]
        try:
            step()
        finally:
            del optimizer.grad_scale, optimizer.found_inf  # type: ignore[attr-defined]
        return
    params = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    with torch.no_grad():
        before = [p.detach().clone() for p in params]
        states = [
            {name: value.clone() if isinstance(value, Tensor) else value for name, value in optimizer.state[p].items()}
            for p in params
        ]
    step()
    _put_back_unless(is_finite, optimizer, params, before, states)


@torch.no_grad()
def _put_back_unless(
    is_finite: Tensor,
    optimizer: Optimizer,
    params: Sequence[Tensor],
    before: Sequence[Tensor],
    states: Sequence[dict[str, Any]],
) -> None:
    for param, value, kept in zip(params, before, states, strict=True):
        param.copy_(torch.where(is_finite, param, value))
        for name, now in optimizer.state[param].items():
            if isinstance(now, Tensor):
                was = kept[name] if name in kept else torch.zeros_like(now)  # all of them begin with zeros
                now.copy_(torch.where(is_finite.to(now.device), now, was))


def _skips_by_itself(optimizer: Optimizer) -> bool:
    """Return whether it is fused. Fused SGD is not trusted: a skipped first step leaves its momentum undefined."""
    if isinstance(optimizer, SGD) or not getattr(optimizer, "_step_supports_amp_scaling", False):
        return False
    groups = [group for group in optimizer.param_groups if any(p.grad is not None for p in group["params"])]
    return all(group.get("fused") for group in groups)
