"""Menu of schedules of the learning rate. No torch here."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, field_validator, model_validator

from eegfm.config import unnamed_is
from eegfm.errors import ConfigError
from eegfm.training.schedules.length import RunLength
from eegfm.training.schedules.warmed import EndRatio, Ratio, ScheduleBase, WarmedConfig

_FOLDER = "eegfm.training.schedules"
VALIDATION = "val/"
SCORES = ("r2",)
"""Logged values of which the highest is the best. Of whatever ends in ``loss``, the lowest is."""


class WarmupCosineConfig(WarmedConfig):
    """Rise linearly, fall along half a cosine (Loshchilov and Hutter, arXiv 1608.03983, without restarts).

    Args:
        warmup_ratio: See ``WarmedConfig``, for all that begins with ``warmup``.
        final_ratio: Learning rate of the last step over the peak.
    """

    implementation: ClassVar[str] = f"{_FOLDER}.warmup_cosine:build_warmup_cosine"

    name: Literal["warmup_cosine"] = "warmup_cosine"
    warmup_ratio: Ratio | None = 0.1
    final_ratio: EndRatio = 0.01


class CosineConfig(ScheduleBase):
    """Fall along half a cosine from the first step on.

    Args:
        final_ratio: Learning rate of the last step over the peak.
    """

    implementation: ClassVar[str] = f"{_FOLDER}.cosine:build_cosine"

    name: Literal["cosine"] = "cosine"
    final_ratio: EndRatio = 0.01


class StepConfig(WarmedConfig):
    """Fall by a factor every so many epochs.

    Args:
        every_epochs: Epochs between two falls.
        gamma: Learning rate after a fall over the one before.
    """

    implementation: ClassVar[str] = f"{_FOLDER}.step:build_step"

    name: Literal["step"] = "step"
    every_epochs: PositiveFloat = 1
    gamma: float = Field(default=0.5, gt=0, lt=1)

    def check(self, length: RunLength) -> None:
        """Refuse a first fall that the run does not reach; see the base class."""
        super().check(length)
        length.refuse_epochs("schedule.every_epochs", self.every_epochs)


class MultiStepConfig(WarmedConfig):
    """Fall by a factor at chosen epochs.

    Args:
        milestones: Epochs after which the learning rate falls, in rising order.
        gamma: Learning rate after a fall over the one before.
    """

    implementation: ClassVar[str] = f"{_FOLDER}.multi_step:build_multi_step"

    name: Literal["multi_step"] = "multi_step"
    milestones: tuple[PositiveFloat, ...] = Field(min_length=1)
    gamma: float = Field(default=0.1, gt=0, lt=1)

    @field_validator("milestones")
    @classmethod
    def _rising(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if any(a >= b for a, b in pairwise(milestones)):
            raise ValueError(f"milestones {list(milestones)} do not rise; give epochs in rising order, each once")
        return milestones

    def check(self, length: RunLength) -> None:
        """Refuse a milestone that the run does not reach; see the base class."""
        super().check(length)
        length.refuse_epochs("schedule.milestones", self.milestones[-1])


class PlateauConfig(WarmedConfig):
    """Fall by a factor where a value of the validations no longer gets better, as torch's ``ReduceLROnPlateau``.

    Unlike torch's, the threshold also works for values below zero. A validation during the warm-up can set the best
    value, but it does not use up patience.

    Args:
        monitor: Value to watch, by its name in the logs: ``val/loss``, ``val/loss/<corpus>``, ``val/r2``, ….
        mode: Whether the lowest or the highest value is the best.
        factor: Learning rate after a fall over the one before.
        patience: Validations in a row without a better value that change nothing; the next one lets the rate fall.
        threshold: Change over the best value, as a share of its size, beyond which a value counts as better.
        min_ratio: Lowest learning rate over the peak.
    """

    implementation: ClassVar[str] = f"{_FOLDER}.plateau:Plateau"

    name: Literal["plateau"] = "plateau"
    monitor: str = "val/loss"
    mode: Literal["min", "max"] = "min"
    factor: float = Field(default=0.1, gt=0, lt=1)
    patience: NonNegativeInt = 10
    threshold: float = Field(default=1e-4, ge=0, lt=1)
    min_ratio: EndRatio = 0.0

    @model_validator(mode="after")
    def _watches_what_it_can(self) -> "PlateauConfig":
        value = self.monitor.removeprefix(VALIDATION).partition("/")[0]
        if not self.monitor.startswith(VALIDATION) or not value:
            raise ValueError(
                f"monitor '{self.monitor}' is no value of a validation; "
                "choose val/loss, val/r2, or one of a corpus, as val/loss/tuh"
            )
        best = "min" if value.endswith("loss") else "max" if value in SCORES else self.mode
        if self.mode != best:
            lowest = "lowest" if best == "min" else "highest"
            raise ValueError(f"mode '{self.mode}': the {lowest} {self.monitor} is the best; set mode to {best}")
        return self

    def check(self, length: RunLength) -> None:
        """Refuse a run in which nothing is watched, or not often enough; see the base class."""
        super().check(length)
        if length.n_validations is None:
            return
        if not length.n_validations:
            raise ConfigError(
                f"schedule.name plateau watches {self.monitor}, but there are no validation windows; "
                "choose another schedule, or give the split validation persons"
            )
        n_needed = self.patience + 3
        if length.n_validations < n_needed:
            raise ConfigError(
                f"schedule.patience {self.patience}: the rate cannot fall before validation {n_needed - 1}, and of "
                f"the {length.n_validations} of this run the last comes after its last step; lower "
                "schedule.patience or validation_interval_steps, or train longer"
            )

    def check_corpora(self, corpora: Sequence[str]) -> None:
        """Refuse a value of a corpus that has no validation; see the base class."""
        corpus = self.monitor.removeprefix(VALIDATION).partition("/")[2]
        if corpus and corpus not in corpora:
            raise ConfigError(
                f"schedule.monitor '{self.monitor}' names no corpus that is trained on; choose one of "
                f"{', '.join(sorted(corpora))}, or leave the corpus out"
            )


class OneCycleConfig(WarmedConfig):
    """Rise from ``initial_ratio`` and fall below it along one cycle (Smith and Topin, arXiv 1708.07120).

    This is torch's ``OneCycleLR``, except that the momentum stays as it is.

    Args:
        warmup_ratio: See ``WarmedConfig``; the last step of the warm-up is at the peak.
        initial_ratio: Learning rate of the first step over the peak.
        final_ratio: Learning rate of the last step over the peak.
        shape: Rise and fall along half a cosine each, or along lines.
    """

    implementation: ClassVar[str] = f"{_FOLDER}.one_cycle:build_one_cycle"

    name: Literal["one_cycle"] = "one_cycle"
    warmup_ratio: Ratio | None = 0.3
    initial_ratio: EndRatio = 0.04
    final_ratio: EndRatio = 4e-6
    shape: Literal["cosine", "linear"] = "cosine"


class TrapezoidConfig(WarmedConfig):
    """Rise linearly, stay at the peak, fall linearly (warm-up, stable, decay: Hu et al., arXiv 2404.06395).

    Args:
        warmup_ratio: See ``WarmedConfig``.
        decay_ratio: Share of all steps that fall, the last ones.
        final_ratio: Learning rate of the last step over the peak.
    """

    implementation: ClassVar[str] = f"{_FOLDER}.trapezoid:build_trapezoid"

    name: Literal["trapezoid"] = "trapezoid"
    warmup_ratio: Ratio | None = 0.1
    decay_ratio: float = Field(default=0.2, gt=0, le=1)
    final_ratio: EndRatio = 0.0

    def check(self, length: RunLength) -> None:
        """Refuse a fall that begins before the rise has ended; see the base class."""
        super().check(length)
        share = self.warmup_share(length)
        if share is not None and share + self.decay_ratio > 1 + 1e-9:
            raise ConfigError(
                f"schedule.decay_ratio {self.decay_ratio:g} and a warm-up of {share:.3g} of all steps are more than "
                f"the run; set decay_ratio to at most {1 - share:.3g}, or shorten the warm-up"
            )


class ConstantConfig(WarmedConfig):
    """Stay at the peak, after a warm-up if one is given."""

    implementation: ClassVar[str] = f"{_FOLDER}.constant:build_constant"

    name: Literal["constant"] = "constant"


ScheduleConfig = Annotated[
    WarmupCosineConfig
    | CosineConfig
    | StepConfig
    | MultiStepConfig
    | PlateauConfig
    | OneCycleConfig
    | TrapezoidConfig
    | ConstantConfig,
    Field(discriminator="name"),
    unnamed_is("warmup_cosine"),
]
