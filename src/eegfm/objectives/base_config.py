"""Base of the configurations of objectives, and what each asks of an encoder. No torch here."""

from typing import ClassVar

from eegfm.adapters.config import ChannelAdapterConfig
from eegfm.augmentations.config import AugmentationConfig
from eegfm.config import Buildable
from eegfm.encoders.traits import EncoderConfig, Traits
from eegfm.errors import ConfigError
from eegfm.mixture.config import LabelKind
from eegfm.normalizations.config import NormalizationBase
from eegfm.objectives.heads.config import AuxiliaryConfig


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
    name: str
    augment: tuple[AugmentationConfig, ...] = ()
    auxiliary: AuxiliaryConfig | None = None

    @property
    def labels(self) -> dict[str, LabelKind]:
        """Labels that auxiliary heads predict, with their kinds."""
        return {} if self.auxiliary is None else self.auxiliary.kinds

    @property
    def trains_on_pairs(self) -> bool:
        """Whether its batches hold pairs of windows: its loss compares them, and is one of the whole micro-batch."""
        return self.default_pairing is not None

    @property
    def estimates_anew(self) -> bool:
        """Whether statistics are estimated anew whenever a run goes on, because no state holds them."""
        return False

    @property
    def needs_classes(self) -> bool:
        """Whether it compares the classes of windows, which the cuts that it draws from must have."""
        return False

    @property
    def needs_tokenizer(self) -> bool:
        """Whether it predicts the codes of a tokenizer, which is trained before."""
        return False

    @property
    def needs_whole_batch(self) -> bool:
        """Whether its loss is one of the whole micro-batch, which can then not be cut into parts (``accumulate``)."""
        return self.trains_on_pairs

    def check_encoder(
        self,
        encoder: EncoderConfig,
        normalization: NormalizationBase | None = None,
        adapter: ChannelAdapterConfig | None = None,
        *,
        is_of_start: bool = False,
    ) -> None:
        """Refuse an encoder that cannot do what this objective asks, before anything is built.

        Args:
            encoder: Configuration of the encoder.
            normalization: Normalization before it; the encoder's own if not given.
            adapter: Adapter before it; none if not given.
            is_of_start: Whether the weights that a phase starts from decide all three, so that no parameter changes
                them.

        Raises:
            ConfigError: It cannot; with what can.
        """
        self.check_traits(encoder.traits, encoder.name, is_of_start=is_of_start)

    def check_traits(self, traits: Traits, encoder: str, *, is_of_start: bool = False) -> None:
        """Refuse an encoder by what it can do; see ``check_encoder``.

        Raises:
            ConfigError: It cannot do what this objective asks.
        """
        choose = "start from" if is_of_start else "choose"
        if self.needs_tokens and traits.output == "window":
            raise ConfigError(
                f"objective {self.name} asks for single patches, encoder {encoder} gives one vector of features "
                f"for a whole window; {choose} an encoder of tokens, such as patch_transformer"
            )
        leaving = [each.name for each in self.augment if not each.keeps_channels]
        if leaving and traits.one_montage:
            raise ConfigError(
                f"objective.augment {leaving[0]} leaves channels out, encoder {encoder} is tied to the channels of one "
                "montage; leave it out, or choose an encoder of any channels, such as patch_transformer"
            )
        if self.needs_visible and not traits.supports_visible:
            raise ConfigError(
                f"objective {self.name} encodes visible tokens only, encoder {encoder} cannot leave tokens out; "
                f"choose objective masked, which replaces them, or {'start from ' if is_of_start else ''}an encoder "
                "such as patch_transformer"
            )
