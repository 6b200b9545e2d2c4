"""Menu of schedules of the learning rate. No torch here."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from eegfm.config import Buildable


class WarmupCosineConfig(Buildable):
    """Rise linearly, fall along half a cosine, once per optimizer step.

    Args:
        warmup_ratio: Share of all steps that rise.
        final_ratio: Learning rate of the last step over the peak.
    """

    implementation: ClassVar[str] = "eegfm.training.schedules.warmup_cosine:build_warmup_cosine"

    name: Literal["warmup_cosine"] = "warmup_cosine"
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    final_ratio: float = Field(default=0.01, ge=0, le=1)


ScheduleConfig = Annotated[WarmupCosineConfig, Field(discriminator="name")]
