"""Configurations of the objectives that mask patches and predict them. No torch here."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from eegfm.config import Amount, Depth, refuse_unused
from eegfm.encoders.traits import Sight
from eegfm.errors import ConfigError
from eegfm.normalizations.config import Leak
from eegfm.objectives.base_config import EncoderFacts, ObjectiveConfig
from eegfm.objectives.patches.masks.config import MaskConfig, RandomMask, RectangularVisibleMask
from eegfm.objectives.patches.targets.config import LogSpectrumTarget, Targets


class HidingConfig(ObjectiveConfig):
    """Hide some patches, and ask for something of them that the encoder must not know otherwise.

    Args:
        allow_leaks: Train encoders all the same whose tokens know of the whole window, masked patches too, as the
            publications of LUNA, LaBraM and CBraMod do. The loss is then no measure of what is predicted.
    """

    allow_leaks: bool = False

    def check_encoder(self, facts: EncoderFacts) -> None:
        """Refuse an encoder whose tokens know of masked patches, or see none that is visible; see the base class."""
        super().check_encoder(facts)
        if facts.leaks and not self.allow_leaks:
            others = ", ".join(f"{leak.key}: {leak.patchwise}" for leak in facts.leaks)
            remedy = f"start from an encoder with {others}, or set" if facts.is_of_start else f"set {others}, or"
            raise ConfigError(
                f"objective {self.name} masks patches, but every token of encoder {facts.name} knows of the whole "
                f"window, masked patches too, with {listed_choices(facts.leaks)}; {remedy} objective.allow_leaks: true "
                "to train as published all the same"
            )
        if facts.learning_adapter:
            why = f"behind adapter.name: {facts.learning_adapter}, which learns, whole patches are masked"
            instead = "adapter.name: interpolate, which does not learn"
            self.check_sight(facts.sight, facts.name, why, instead=instead)

    def check_sight(
        self, sight: Sight, encoder: str, why: str, *, channels: bool = False, patches: bool = True, instead: str
    ) -> None:
        """Refuse an encoder with which no prediction would depend on a visible sample.

        Args:
            sight: Directions in which its tokens see each other.
            encoder: Name of the encoder.
            why: What keeps other tokens from being visible, for the message.
            channels: Whether other channels of a masked token's patch are visible.
            patches: Whether other patches of its channels are.
            instead: What else to choose, for the message.

        Raises:
            ConfigError: Its tokens see nothing of what is visible; with the key, and what to set.
        """
        if (sight.channels and channels) or (sight.patches and patches):
            return
        seen = "other channels of their patch" if sight.channels else "other patches of their channels"
        with_choice = f" with {sight.choice}" if sight.choice else ""
        remedy = f"{sight.remedy}, or {instead}" if sight.remedy else instead
        raise ConfigError(
            f"objective {self.name} would train blindly: {why}, and tokens of encoder {encoder}{with_choice} see only "
            f"{seen}; set {remedy}"
        )


class PatchObjectiveConfig(HidingConfig):
    """Mask some patches and predict their contents.

    Args:
        mask: Which tokens are masked together, see ``eegfm.objectives.patches.masks.config``.
        mask_ratio: Share of a window's tokens (of its channels or patches, where the mask hides whole ones) that are
            masked: exactly ``round(mask_ratio * N)`` in each.
        target: What is predicted of masked patches: a name, the options of one target, or a list of several, which are
            predicted at once; see ``eegfm.objectives.patches.targets.config``.
        of: Signal that targets are computed from: ``microvolts``, or ``normalized`` as the encoder takes it. Samples in
            microvolts count over the scale of the normalization, 30 where it has none.
        target_from: Windows that targets are computed from, where augmentations change what the encoder is shown:
            ``untouched`` ones, or those that are ``shown``.
        high_hz: Highest frequency of spectra; the signal above it is filtered out and would be noise.
        loss: Distance of predicted and true values: squared, absolute, or squared below one unit of the target and
            absolute above. Codes have the cross entropy.
        visible_weight: Weight of the same loss on visible patches, beside that on masked ones; LUNA has 0.05.
        query_specialization: Weight of the likeness of what the learned queries of an encoder look at; LUNA has 0.8.
    """

    mask: MaskConfig = RandomMask()
    mask_ratio: float = Field(default=0.5, gt=0, lt=1)
    target: Targets = (LogSpectrumTarget(),)
    of: Literal["microvolts", "normalized"] = "microvolts"
    target_from: Literal["untouched", "shown"] = "untouched"
    high_hz: Amount = 45.0
    loss: Literal["l1", "l2", "smooth_l1"] = "l2"
    visible_weight: float = Field(default=0.0, ge=0, le=1000)
    query_specialization: float = Field(default=0.0, ge=0, le=1000)

    @model_validator(mode="after")
    def _targets_have_the_channels(self) -> "PatchObjectiveConfig":
        leaving = [each.name for each in self.augment if not each.keeps_channels]
        if leaving and self.target_from == "untouched":
            raise ValueError(
                f"augment {leaving[0]} leaves channels out, and target_from is untouched, of all channels; set "
                "target_from: shown"
            )
        return self

    @model_validator(mode="after")
    def _codes_are_of_untouched_windows(self) -> "PatchObjectiveConfig":
        if self.needs_tokenizer and self.augment and self.target_from == "shown":
            raise ValueError(
                "target codes are those of untouched windows, and target_from is shown; set target_from: untouched"
            )
        return self

    @model_validator(mode="after")
    def _loss_is_read(self) -> "PatchObjectiveConfig":
        if all(target.needs_tokenizer for target in self.target):
            refuse_unused(self, ("loss",), "with target codes, which has the cross entropy")
        return self

    @property
    def estimates_anew(self) -> bool:
        """See the base class: means of single persons are in no state."""
        return any(isinstance(target, LogSpectrumTarget) and target.minus == "person" for target in self.target)

    @property
    def needs_tokenizer(self) -> bool:
        """See the base class."""
        return any(target.needs_tokenizer for target in self.target)

    def check_encoder(self, facts: EncoderFacts) -> None:
        """Refuse an encoder without queries, where they are to be specialised; see the base class."""
        super().check_encoder(facts)
        if self.query_specialization and not facts.traits.has_queries:
            raise ConfigError(
                f"objective.query_specialization {self.query_specialization:g} is about learned queries, and encoder "
                f"{facts.name} has none; set it to 0, or choose encoder luna"
            )


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

    def check_sight(
        self, sight: Sight, encoder: str, why: str, *, channels: bool = False, patches: bool = True, instead: str
    ) -> None:
        """Take every encoder: for each prediction the decoder looks at all visible tokens; see the base class."""
