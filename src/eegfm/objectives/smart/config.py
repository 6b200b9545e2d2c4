"""Configuration of element-wise masking in latent space. No torch here."""

from typing import ClassVar, Literal

from pydantic import Field

from eegfm.config import Count
from eegfm.objectives.latent.config import LatentConfig


class SmartConfig(LatentConfig):
    """Hide each token of each channel on its own, ask for vectors of the whole window (SMART, arXiv 2405.09039).

    Each window draws the share that it hides, between 0 and ``max_ratio``: exactly ``round(ratio * N)`` of its own
    tokens, at least one and not all.

    Args:
        max_ratio: Largest share of a window's tokens that is hidden.
        predictor_width: Width of the hidden layer of the predictor, a network on each vector.
    """

    implementation: ClassVar[str] = "eegfm.objectives.smart.model:Smart"

    name: Literal["smart"] = "smart"
    max_ratio: float = Field(default=0.75, gt=0, lt=1)
    predictor_width: Count = 256
