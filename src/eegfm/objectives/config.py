"""The menu of objectives: typed choices, no torch; and what each needs of an encoder."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat

from eegfm.config import Buildable
from eegfm.encoders.traits import EncoderChoice


class ObjectiveChoice(Buildable):
    """Base of the configurations of objectives."""

    needs_visible: ClassVar[bool] = False
    """Encodes visible tokens only."""
    name: str

    def check_encoder(self, encoder: EncoderChoice) -> None:
        """Refuse an encoder that cannot do what this objective asks, before anything is built.

        Raises:
            ValueError: It cannot; with what can.
        """
        if encoder.traits.output == "window":
            raise ValueError(
                f"objective {self.name} asks for single patches, encoder {encoder.name} gives one vector of features "
                "for a whole window; choose an encoder of tokens, such as patch_transformer"
            )
        if self.needs_visible and not encoder.traits.supports_visible:
            raise ValueError(
                f"objective {self.name} encodes visible tokens only, encoder {encoder.name} cannot leave tokens out; "
                "choose objective masked, which replaces them, or an encoder such as patch_transformer"
            )


class MaskedConfig(ObjectiveChoice):
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
