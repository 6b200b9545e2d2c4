"""Configuration of joint-embedding prediction. No torch here."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from eegfm.config import Depth, refuse_unused
from eegfm.encoders.traits import Sight
from eegfm.errors import ConfigError
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.latent.config import LatentConfig, NoRegularizationConfig, RegularizationConfig
from eegfm.objectives.patches.masks.config import MaskConfig, TimeBlockMask


class JepaConfig(LatentConfig):
    """Predict vectors of hidden patches from vectors of the others, knowing where they are (I-JEPA, arXiv 2301.08243).

    Signal-JEPA (arXiv 2403.11772) hides channels in one place of the scalp; this is ``mask.name: spatial_block``. The
    default hides two blocks of time in all channels: it suits encoders that give one vector for all channels of a
    patch, adapters that mix channels, and montages of few channels. The paper (section 3) wants hidden blocks that are
    large, and a context that is spread out; single random patches are near visible ones.

    Args:
        mask: Which patches are hidden together, see ``eegfm.objectives.patches.masks.config``.
        mask_ratio: Share of them, see there.
        teacher: Gives the targets: ``ema`` is a moving average of the encoder; ``none`` is the encoder itself, through
            which gradients flow (LeJEPA, arXiv 2511.08544). It collapses without ``regularization``.
        regularization: What keeps the vectors of the trained encoder spread out.
        predictor_width: Width of the predictor, in heads of 32.
        predictor_layers: Its layers.
    """

    implementation: ClassVar[str] = "eegfm.objectives.jepa.model:Jepa"

    name: Literal["jepa"] = "jepa"
    mask: MaskConfig = TimeBlockMask(n_blocks=2)
    mask_ratio: float = Field(default=0.5, gt=0, lt=1)
    teacher: Literal["ema", "none"] = "ema"
    regularization: RegularizationConfig = NoRegularizationConfig()
    predictor_width: int = Field(default=64, gt=0, multiple_of=32)
    predictor_layers: Depth = 2

    @model_validator(mode="after")
    def _something_prevents_collapse(self) -> "JepaConfig":
        if self.teacher == "ema":
            return self
        if isinstance(self.regularization, NoRegularizationConfig):
            raise ValueError(
                "teacher is none and regularization.name is none: constant vectors would be the best answer; set "
                "regularization.name to vicreg or sigreg, or teacher: ema"
            )
        refuse_unused(self, ("teacher_decay",), "with teacher: none")
        return self

    @property
    def needs_whole_batch(self) -> bool:
        """Tell whether its loss is one of the whole micro-batch: regularization counts over all of it."""
        return not isinstance(self.regularization, NoRegularizationConfig)

    def check_encoder(self, facts: EncoderFacts) -> None:
        """Refuse an encoder of patches where the mask hides single channels of one; see the base class."""
        super().check_encoder(facts)
        if facts.traits.output == "patches" and not self.mask.hides_whole_patches:
            raise ConfigError(
                f"objective.mask.name {self.mask.name} hides channels, and encoder {facts.name} gives one vector for "
                "all channels of a patch, which must be hidden together; choose time_block, random or "
                "rectangular_visible, or an encoder of tokens, such as patch_transformer"
            )

    def check_sight(
        self, sight: Sight, encoder: str, why: str, *, channels: bool = False, patches: bool = True, instead: str
    ) -> None:
        """Take every encoder: for each prediction the predictor looks at all visible tokens; see the base class."""
