"""Base of all schedules: a curve over the optimizer steps, times the peak of each parameter group."""

from collections.abc import Callable, Mapping
from typing import Any

from torch.optim import Optimizer

PEAK = "peak_lr"
"""Key of a parameter group: its learning rate where the curve is 1."""


class Schedule:
    """Set the learning rate of every parameter group before each optimizer step.

    Args:
        optimizer: Its groups hold their peaks as ``lr`` when the schedule is built.
        curve: Learning rate of a step, counted from 0, over the peak.
    """

    def __init__(self, optimizer: Optimizer, curve: Callable[[int], float]) -> None:
        self.optimizer, self.curve = optimizer, curve
        self.n_steps_done = 0
        for group in optimizer.param_groups:
            group.setdefault(PEAK, group["lr"])
        self._set_rates()

    def step(self) -> None:
        """Go on to the next step; call this once after each optimizer step."""
        self.n_steps_done += 1
        self._set_rates()

    def observe(self, values: Mapping[str, float]) -> None:
        """Take note of the values of a validation, by their names in the logs. Most schedules need none of them."""

    def factor(self) -> float:
        """Return the learning rate of the coming step over the peak."""
        return self.curve(self.n_steps_done)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: the number of steps that were taken."""
        return {"n_steps_done": self.n_steps_done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of a schedule with the same configuration."""
        self.n_steps_done = int(state["n_steps_done"])
        self._set_rates()

    def _set_rates(self) -> None:
        factor = self.factor()
        for group in self.optimizer.param_groups:
            group["lr"] = group[PEAK] * factor
