"""Configuration of what the objectives share that predict vectors of an encoder. No torch here."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from eegfm.config import Count, StrictModel
from eegfm.objectives.patches.config import HidingConfig


class NoRegularizationConfig(StrictModel):
    """Nothing but the prediction."""

    name: Literal["none"] = "none"


class VicregConfig(StrictModel):
    """Ask for vectors that vary in every dimension, and in different dimensions not together (arXiv 2105.04906).

    The paper weighs variance as much as its prediction, and covariance 1/25 of that.

    Args:
        variance_weight: Weight of the hinge on standard deviations below 1.
        covariance_weight: Weight of the squared covariances.
    """

    name: Literal["vicreg"] = "vicreg"
    variance_weight: float = Field(default=1.0, ge=0, le=1e4)
    covariance_weight: float = Field(default=0.04, ge=0, le=1e4)


class SigregConfig(StrictModel):
    """Ask for vectors that are normally distributed (LeJEPA, arXiv 2511.08544).

    Args:
        weight: Weight of the distance from a normal distribution, which does not grow with the number of vectors. The
            paper weighs N times this distance by 0.05, N being its batch size: 6.4 is that of a batch of 128.
        n_directions: Directions that they are projected on, drawn anew for each micro-batch.
    """

    name: Literal["sigreg"] = "sigreg"
    weight: float = Field(default=6.4, gt=0, le=1e6)
    n_directions: Count = 64


RegularizationConfig = Annotated[
    NoRegularizationConfig | VicregConfig | SigregConfig,
    Field(discriminator="name"),
]
"""Union of what keeps vectors from collapsing."""


class LatentConfig(HidingConfig):
    """Predict, for hidden patches, the vectors that a teacher gives of the untouched, whole window.

    Args:
        teacher_decay: Share of its weights that the teacher keeps in the first step. It grows linearly to 1 over the
            run, as in I-JEPA (arXiv 2301.08243, appendix A.1).
        loss: Distance between predictions and targets: ``smooth_l1`` (with its seam at 1), ``l2``, or ``cosine``, 1
            minus the cosine similarity.
    """

    teacher_decay: float = Field(default=0.996, ge=0, lt=1)
    loss: Literal["smooth_l1", "l2", "cosine"] = "smooth_l1"

    @model_validator(mode="after")
    def _targets_have_the_channels(self) -> "LatentConfig":
        leaving = [each.name for each in self.augment if not each.keeps_channels]
        if leaving:
            raise ValueError(
                f"augment {leaving[0]} leaves channels out, and the targets of objective {self.name} are of all "
                "channels; leave it out, or choose channel_dropout"
            )
        return self
