"""Configuration of contrastive learning. No torch here."""

from typing import ClassVar, Literal

from pydantic import Field

from eegfm.augmentations.config import AugmentationConfig, ChannelGainConfig, GainConfig, SpectralTiltConfig
from eegfm.errors import ConfigError
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.pairs.config import PairObjectiveConfig


class ContrastiveConfig(PairObjectiveConfig):
    """Tell the partner of each window from other windows of the micro-batch (InfoNCE).

    Which windows are pairs, and which are no negatives of each other, the pairing decides (``pairs``).

    Args:
        temperature: Divides cosine similarities; the predecessors' .07 is that of MoCo (arXiv 1911.05722).
        learned_temperature: Train the temperature, from the given one on, at most 100 times as sharp as 1 (CLIP, arXiv
            2103.00020, section 2.5).
        positives: ``partner`` is the other window of the pair. ``label`` is every window of the same class; windows of
            an unknown class count nothing (SupCon, arXiv 2004.11362).
        complementary_ratio: Share of the patches that the first window of a pair is shown; the second one is shown the
            others. None shows both all of them. With the pairing ``views``, both are the same window.
    """

    implementation: ClassVar[str] = "eegfm.objectives.contrastive.model:Contrastive"
    default_pairing: ClassVar[str | None] = "views"
    least_pairs: ClassVar[int] = 2  # one pair has no negatives

    name: Literal["contrastive"] = "contrastive"
    augment: tuple[AugmentationConfig, ...] = (GainConfig(), ChannelGainConfig(), SpectralTiltConfig())
    temperature: float = Field(default=0.07, ge=0.01, le=10)
    learned_temperature: bool = False
    positives: Literal["partner", "label"] = "partner"
    complementary_ratio: float | None = Field(default=None, gt=0, lt=1)

    def check_encoder(self, facts: EncoderFacts) -> None:
        """Refuse an encoder that cannot hide patches, where it must; see the base class."""
        super().check_encoder(facts)
        if self.complementary_ratio is not None and facts.traits.output == "window":
            raise ConfigError(
                f"objective.complementary_ratio {self.complementary_ratio:g} hides patches, and encoder {facts.name} "
                "has none; leave it out, or choose an encoder of tokens, such as patch_transformer"
            )

    @property
    def needs_classes(self) -> bool:
        """See the base class."""
        return self.positives == "label"
