"""The menu of objectives: typed choices, no torch."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat

from eegfm.config import Buildable


class MaskedConfig(Buildable):
    """Hide some tokens, predict what their patches held.

    Args:
        mask_ratio: Share of a window's tokens that are hidden: exactly ``round(mask_ratio * N)`` in each.
        target: ``log_spectrum`` predicts the log power spectrum of a hidden patch, each frequency standardised
            over training windows; ``signal`` predicts its samples over the encoder's microvolt scale.
        high_hz: Highest frequency of the spectrum; the signal above it is filtered out and would be noise.
    """

    implementation: ClassVar[str] = "eegfm.objectives.masked:Masked"

    name: Literal["masked"] = "masked"
    mask_ratio: float = Field(default=0.5, gt=0, lt=1)
    target: Literal["log_spectrum", "signal"] = "log_spectrum"
    high_hz: PositiveFloat = 45.0


ObjectiveConfig = Annotated[MaskedConfig, Field(discriminator="name")]
