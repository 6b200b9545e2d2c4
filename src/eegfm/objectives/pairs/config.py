"""Configuration of what the objectives on pairs share. No torch here."""

from typing import ClassVar, Literal

from eegfm.config import Count, StrictModel
from eegfm.objectives.base_config import ObjectiveConfig


class ProjectionConfig(StrictModel):
    """Network between the features of a window and the space where windows are compared; it is thrown away later.

    Args:
        hidden: Width of its hidden layer; SimCLR (arXiv 2002.05709, section 4.2) found that it helps.
        out: Width of the space.
        norm: Norm of the hidden layer. ``batch`` counts over the windows of all ranks together.
    """

    hidden: Count = 512
    out: Count = 128
    norm: Literal["layer", "batch", "none"] = "layer"


class PairObjectiveConfig(ObjectiveConfig):
    """Train on pairs of windows, by one vector for each window: the mean of its features over its channels.

    Args:
        projection: Network behind this vector.
    """

    needs_tokens: ClassVar[bool] = False

    projection: ProjectionConfig = ProjectionConfig()
