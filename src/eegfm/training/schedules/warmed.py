"""Base of the configurations of schedules: a check against the length of the run, and a warm-up. No torch here."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, NonNegativeFloat, NonNegativeInt, model_validator

from eegfm.config import Buildable, refuse_unused
from eegfm.training.schedules.length import RunLength

Ratio = Annotated[float, Field(ge=0, lt=1)]
EndRatio = Annotated[float, Field(ge=0, le=1)]

_WARMUP = ("warmup_ratio", "warmup_steps", "warmup_epochs")


class ScheduleBase(Buildable):
    """Base of all schedules. ``build(optimizer, n_steps, n_steps_per_epoch)`` gives a ``Schedule``."""

    def check(self, length: RunLength) -> None:
        """Refuse a schedule that is longer than the run.

        Raises:
            ConfigError: Names the key, its value, and what is allowed.
        """

    def check_corpora(self, corpora: Sequence[str]) -> None:
        """Refuse a schedule that watches a corpus which is not trained on.

        Raises:
            ConfigError: Names the key, its value, and what is allowed.
        """


class WarmedConfig(ScheduleBase):
    """A schedule that begins with a warm-up, given as exactly one of a ratio, steps or epochs.

    Args:
        warmup_ratio: Share of all steps that rise.
        warmup_steps: Steps that rise.
        warmup_epochs: Epochs that rise, fractions allowed.
        initial_ratio: Learning rate that the rise begins at, over the peak; step k of n is k / n of the way up.
    """

    warmup_ratio: Ratio | None = 0.0
    warmup_steps: NonNegativeInt | None = None
    warmup_epochs: NonNegativeFloat | None = None
    initial_ratio: EndRatio = 0.0

    @model_validator(mode="before")
    @classmethod
    def _default_gives_way(cls, values: Any) -> Any:
        """Drop the default ratio where steps or epochs are given instead."""
        if not isinstance(values, dict) or "warmup_ratio" in values:
            return values
        return {**values, "warmup_ratio": None} if any(values.get(name) is not None for name in _WARMUP) else values

    @model_validator(mode="after")
    def _one_warmup(self) -> "WarmedConfig":
        given = {name: value for name in _WARMUP if (value := getattr(self, name)) is not None}
        if len(given) != 1:
            found = " and ".join(f"{name} {value:g}" for name, value in given.items()) or "no warm-up"
            raise ValueError(f"{found}; give exactly one of {', '.join(_WARMUP)} (a ratio of 0 is none)")
        if not any(given.values()):
            refuse_unused(self, ["initial_ratio"], "without a warm-up")
        return self

    def check(self, length: RunLength) -> None:
        """Refuse a warm-up that the run does not outlast; see the base class."""
        if self.warmup_steps is not None:
            length.refuse_steps("schedule.warmup_steps", self.warmup_steps)
        if self.warmup_epochs is not None:
            length.refuse_epochs("schedule.warmup_epochs", self.warmup_epochs)

    def warmup_share(self, length: RunLength) -> float | None:
        """Return the share of the run that rises; None where that is not known yet."""
        if self.warmup_ratio is not None:
            return self.warmup_ratio
        if self.warmup_steps is not None:
            return None if length.n_steps is None else self.warmup_steps / length.n_steps
        assert self.warmup_epochs is not None, "exactly one is given"
        return None if length.n_epochs is None else self.warmup_epochs / length.n_epochs

    def n_warmup_steps(self, n_steps: int, n_steps_per_epoch: int) -> int:
        """Return the steps that rise; at least one is left after them."""
        if self.warmup_steps is not None:
            n = self.warmup_steps
        elif self.warmup_epochs is not None:
            n = round(self.warmup_epochs * n_steps_per_epoch)
        else:
            assert self.warmup_ratio is not None, "exactly one is given"
            n = round(self.warmup_ratio * n_steps)
        return min(n, n_steps - 1)
