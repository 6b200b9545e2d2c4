"""Base of the configurations of objectives, and what each asks of an encoder. No torch here."""

from dataclasses import dataclass
from typing import ClassVar

from eegfm.adapters.config import ChannelAdapterConfig
from eegfm.augmentations.config import AugmentationConfig
from eegfm.config import Buildable
from eegfm.encoders.traits import EncoderConfig, Sight, Traits
from eegfm.errors import ConfigError
from eegfm.mixture.config import LabelKind
from eegfm.normalizations.config import Leak, NormalizationBase
from eegfm.objectives.heads.config import AuxiliaryConfig


@dataclass(frozen=True)
class EncoderFacts:
    """Facts that an objective asks about an encoder and about what stands before it.

    Args:
        name: Name of the encoder, for messages.
        traits: What it can do.
        leaks: Choices of encoder and normalization by which its tokens know of more than their own patch.
        sight: Directions in which its tokens see each other.
        has_rows: Whether its features have a row for each channel or group of channels; else one for the whole window.
        learning_adapter: Name of the adapter before it, if it has weights; else empty.
        is_of_start: Whether the weights that a phase starts from decide all of this, so that no parameter changes it.
    """

    name: str
    traits: Traits
    leaks: tuple[Leak, ...]
    sight: Sight
    has_rows: bool
    learning_adapter: str = ""
    is_of_start: bool = False

    @classmethod
    def of(
        cls,
        encoder: EncoderConfig,
        normalization: NormalizationBase | None = None,
        adapter: ChannelAdapterConfig | None = None,
        *,
        is_of_start: bool = False,
    ) -> "EncoderFacts":
        """Read the facts from configurations; without them the normalization is the encoder's own, and no adapter."""
        leaks = (*encoder.leaks, *(normalization or encoder.default_normalization).leaks)
        learning = adapter.name if adapter is not None and adapter.has_weights else ""
        return cls(encoder.name, encoder.traits, leaks, encoder.sight, encoder.has_rows, learning, is_of_start)


class ObjectiveConfig(Buildable):
    """Base of the configurations of objectives.

    Args:
        augment: Random changes of the windows that the encoder is shown, one after another; see
            ``eegfm.augmentations.config``.
        auxiliary: Heads that predict labels of persons beside the task; see ``eegfm.objectives.heads.config``.
    """

    needs_tokens: ClassVar[bool] = True
    """Asks for vectors of patches, which an encoder of whole windows does not have."""
    needs_visible: ClassVar[bool] = False
    """Encodes visible tokens only."""
    default_pairing: ClassVar[str | None] = None
    """Name of the pairing of its windows, where none is configured; None for windows one by one."""
    only_pairings: ClassVar[tuple[str, ...]] = ()
    """Names of the pairings that it can train on; empty for all."""
    least_pairs: ClassVar[int] = 1
    """Pairs that each micro-batch must hold, so that its loss teaches anything."""
    name: str
    augment: tuple[AugmentationConfig, ...] = ()
    auxiliary: AuxiliaryConfig | None = None

    @property
    def labels(self) -> dict[str, LabelKind]:
        """Labels that auxiliary heads predict, with their kinds."""
        return {} if self.auxiliary is None else self.auxiliary.kinds

    @property
    def trains_on_pairs(self) -> bool:
        """Tell whether batches hold pairs of windows: the loss compares them, and is one of the whole micro-batch."""
        return self.default_pairing is not None

    @property
    def estimates_anew(self) -> bool:
        """Tell whether statistics are estimated anew whenever a run goes on, because no state holds them."""
        return False

    @property
    def needs_classes(self) -> bool:
        """Tell whether it compares the classes of windows, which the cuts that it draws from must have."""
        return False

    @property
    def needs_tokenizer(self) -> bool:
        """Tell whether it predicts the codes of a tokenizer, which is trained before."""
        return False

    @property
    def needs_whole_batch(self) -> bool:
        """Tell whether the loss is of the whole micro-batch, which then cannot be cut into parts (``accumulate``)."""
        return self.trains_on_pairs

    def check_encoder(self, facts: EncoderFacts) -> None:
        """Refuse an encoder that cannot do what this objective asks: before anything is built, and when it is.

        Raises:
            ConfigError: It cannot; with what can.
        """
        choose = "start from" if facts.is_of_start else "choose"
        if self.needs_tokens and facts.traits.output == "window":
            raise ConfigError(
                f"objective {self.name} asks for single patches, encoder {facts.name} gives one vector of features "
                f"for a whole window; {choose} an encoder of tokens, such as patch_transformer"
            )
        leaving = [each.name for each in self.augment if not each.keeps_channels]
        if leaving and facts.traits.one_montage:
            raise ConfigError(
                f"objective.augment {leaving[0]} leaves channels out, encoder {facts.name} is tied to the channels of "
                f"one montage; list objective.augment without it, or {choose} an encoder of any channels, such as "
                "patch_transformer"
            )
        if self.needs_visible and not facts.traits.supports_visible:
            raise ConfigError(
                f"objective {self.name} encodes visible tokens only, encoder {facts.name} cannot leave tokens out; "
                f"choose objective masked, which replaces them, or {'start from ' if facts.is_of_start else ''}an "
                "encoder such as patch_transformer"
            )
