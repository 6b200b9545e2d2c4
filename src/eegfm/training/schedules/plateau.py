"""A fall where a value of the validations no longer gets better."""

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

from eegfm.errors import ConfigError
from eegfm.training.schedules.base import Schedule
from eegfm.training.schedules.config import PlateauConfig
from eegfm.training.schedules.curves import warmed


class Plateau(Schedule):
    """Reduce the learning rate when a watched value has stopped getting better.

    A value that is not a number is not better.

    Args:
        config: Choices.
        optimizer: See the base class.
        n_steps: Optimizer steps in all.
        n_steps_per_epoch: Optimizer steps of a pass of the plan.
    """

    def __init__(self, config: PlateauConfig, optimizer: Optimizer, n_steps: int, n_steps_per_epoch: int) -> None:
        self.config = config
        self._n_rising = config.n_warmup_steps(n_steps, n_steps_per_epoch)
        self._best: float | None = None
        self._n_worse = 0
        self._scale = 1.0
        super().__init__(optimizer, warmed(config, n_steps, n_steps_per_epoch))

    def factor(self) -> float:
        """Return the learning rate of the coming step over the peak."""
        return super().factor() * self._scale

    def observe(self, values: Mapping[str, float]) -> None:
        """Take note of a validation; the rate falls when ``patience`` is used up.

        Raises:
            ConfigError: The validation has no value of the watched name.
        """
        if self.config.monitor not in values:
            raise ConfigError(
                f"schedule.monitor '{self.config.monitor}' is no value of the validation; "
                f"choose one of {', '.join(sorted(values))}"
            )
        value = values[self.config.monitor]
        if self._is_better(value):
            self._best, self._n_worse = value, 0
        elif self.n_steps_done > self._n_rising:
            self._n_worse += 1
        if self._n_worse > self.config.patience:
            self._scale, self._n_worse = max(self._scale * self.config.factor, self.config.min_ratio), 0
            self._set_rates()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: steps, best value, validations without a better one, falls."""
        best = [] if self._best is None else [self._best]
        return {**super().state_dict(), "best": best, "n_worse": self._n_worse, "scale": self._scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of a schedule with the same configuration."""
        self._best = float(state["best"][0]) if state["best"] else None
        self._n_worse, self._scale = int(state["n_worse"]), float(state["scale"])
        super().load_state_dict(state)

    def _is_better(self, value: float) -> bool:
        if self._best is None:
            return not math.isnan(value)
        better_by = self._best - value if self.config.mode == "min" else value - self._best
        return better_by > self.config.threshold * abs(self._best)
