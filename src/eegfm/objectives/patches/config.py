"""Configurations of the objectives that mask patches and predict them. No torch here."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from eegfm.config import Amount, Depth
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import ConfigError
from eegfm.normalizations.config import Leak, NormalizationBase
from eegfm.objectives.base_config import ObjectiveConfig
from eegfm.objectives.patches.masks.config import MaskConfig, RandomMask, RectangularVisibleMask


class HidingConfig(ObjectiveConfig):
    """Hide some patches, and ask for something of them that the encoder must not know otherwise.

    Args:
        allow_leaks: Train encoders all the same whose tokens know of the whole window, masked patches too, as the
            publications of LUNA, LaBraM and CBraMod do. The loss is then no measure of what is predicted.
    """

    allow_leaks: bool = False

    def check_encoder(self, encoder: EncoderConfig, normalization: NormalizationBase | None = None) -> None:
        """Refuse an encoder that cannot do this, or whose tokens know of masked patches; see the base class."""
        super().check_encoder(encoder, normalization)
        leaks = (*encoder.leaks, *(normalization or encoder.default_normalization).leaks)
        self.check_leaks(leaks, encoder.name)

    def check_leaks(self, leaks: Sequence[Leak], encoder: str) -> None:
        """Refuse choices that let every token know of masked patches, unless ``allow_leaks``.

        Args:
            leaks: These choices, of the encoder and the normalization, see their ``leaks``.
            encoder: Name of the encoder.

        Raises:
            ConfigError: There is one; with the key, and what to set.
        """
        if leaks and not self.allow_leaks:
            remedy = ", ".join(f"{leak.key}: {leak.patchwise}" for leak in leaks)
            raise ConfigError(
                f"objective {self.name} masks patches, but every token of encoder {encoder} knows of the whole window, "
                f"masked patches too, with {listed_choices(leaks)}; set {remedy}, or objective.allow_leaks: true to "
                "train as published all the same"
            )


class PatchObjectiveConfig(HidingConfig):
    """Mask some patches and predict their contents.

    Args:
        mask: Which tokens are masked together, see ``eegfm.objectives.patches.masks.config``.
        mask_ratio: Share of a window's tokens (of its channels or patches, where the mask hides whole ones) that are
            masked: exactly ``round(mask_ratio * N)`` in each.
        target: ``log_spectrum`` predicts the log power spectrum of a masked patch, each frequency standardised
            over training windows; ``signal`` predicts its samples.
        of: Signal that targets are computed from: ``microvolts``, or ``normalized`` as the encoder takes it. Samples in
            microvolts count over the scale of the normalization, 30 where it has none.
        target_from: Windows that targets are computed from, where augmentations change what the encoder is shown:
            ``untouched`` ones, or those that are ``shown``.
        high_hz: Highest frequency of the spectrum; the signal above it is filtered out and would be noise.
    """

    mask: MaskConfig = RandomMask()
    mask_ratio: float = Field(default=0.5, gt=0, lt=1)
    target: Literal["log_spectrum", "signal"] = "log_spectrum"
    of: Literal["microvolts", "normalized"] = "microvolts"
    target_from: Literal["untouched", "shown"] = "untouched"
    high_hz: Amount = 45.0

    @model_validator(mode="after")
    def _targets_have_the_channels(self) -> "PatchObjectiveConfig":
        leaving = [each.name for each in self.augment if not each.keeps_channels]
        if leaving and self.target_from == "untouched":
            raise ValueError(
                f"augment {leaving[0]} leaves channels out, and target_from is untouched, of all channels; set "
                "target_from: shown"
            )
        return self


def listed_choices(leaks: Sequence[Leak]) -> str:
    """Leaking choices as a configuration writes them."""
    return ", ".join(f"{leak.key}: {leak.choice}" for leak in leaks)


class MaskedConfig(PatchObjectiveConfig):
    """Encode all tokens, with a learned one in the place of those that are masked."""

    implementation: ClassVar[str] = "eegfm.objectives.masked:Masked"

    name: Literal["masked"] = "masked"


class MaeConfig(PatchObjectiveConfig):
    """Encode visible tokens only: the cost of a step falls with the share that is masked.

    Args:
        decoder_width: Width of the decoder, in heads of 32.
        decoder_layers: Its layers. Masked patches look at visible ones there, never at each other.
    """

    implementation: ClassVar[str] = "eegfm.objectives.mae:Mae"
    needs_visible: ClassVar[bool] = True

    name: Literal["mae"] = "mae"
    mask: MaskConfig = RectangularVisibleMask()
    decoder_width: int = Field(default=64, gt=0, multiple_of=32)
    decoder_layers: Depth = 2
