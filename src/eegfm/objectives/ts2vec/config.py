"""Configuration of hierarchical contrast. No torch here."""

from typing import ClassVar, Literal

from pydantic import Field

from eegfm.objectives.base_config import ObjectiveConfig
from eegfm.objectives.patches.masks.config import MaskConfig, RandomMask


class Ts2VecConfig(ObjectiveConfig):
    """Have each moment of a window represented alike in two crops, unlike other moments and other windows.

    TS2Vec (Yue et al. 2022, arXiv 2106.10466, section 3). Its steps are patches here, and its masked steps are tokens:
    masks need no encoder that embeds each patch on its own, because nothing hidden is asked for.

    Args:
        crop_ratio: Share of a window's patches that each of the two crops has, more than half, so that they overlap. An
            encoder that is tied to one length is shown whole windows.
        mask: Which tokens are hidden together, drawn for each crop.
        mask_ratio: Share of them.
        temperature: Divides the products of vectors of length 1.
    """

    implementation: ClassVar[str] = "eegfm.objectives.ts2vec.model:Ts2Vec"

    name: Literal["ts2vec"] = "ts2vec"
    crop_ratio: float = Field(default=0.75, gt=0.5, le=1)
    mask: MaskConfig = RandomMask()
    mask_ratio: float = Field(default=0.5, gt=0, lt=1)
    temperature: float = Field(default=0.1, ge=0.01, le=10)

    @property
    def needs_whole_batch(self) -> bool:
        """Tell whether its loss is one of the whole micro-batch: windows are told from all others of it."""
        return True
