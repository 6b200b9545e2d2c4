"""Configuration of what the objectives on pairs share. No torch here."""

from typing import ClassVar, Literal

from pydantic import Field

from eegfm.config import Count, StrictModel
from eegfm.errors import ConfigError
from eegfm.objectives.base_config import EncoderFacts, ObjectiveConfig


class ProjectionConfig(StrictModel):
    """Network between the features of a window and the space where windows are compared; it is thrown away later.

    Args:
        sites: Places on the scalp, learned, around which the features of channels are averaged; the averages go side by
            side. 0 is the mean over all channels. None is 8, or 0 for encoders with one row for the whole window, which
            refuse other numbers.
        hidden: Width of its hidden layer; SimCLR (arXiv 2002.05709, section 4.2) found that it helps.
        out: Width of the space.
        norm: Norm of the hidden layer. ``batch`` counts over the windows of all ranks together.
    """

    sites: int | None = Field(default=None, ge=0, le=256)
    hidden: Count = 512
    out: Count = 128
    norm: Literal["layer", "batch", "none"] = "layer"


class PairObjectiveConfig(ObjectiveConfig):
    """Train on pairs of windows, by one vector for each window.

    Args:
        projection: From the features of a window to this vector.
    """

    needs_tokens: ClassVar[bool] = False

    projection: ProjectionConfig = ProjectionConfig()

    def check_encoder(self, facts: EncoderFacts) -> None:
        """Refuse sites for an encoder whose features are of the whole window; see the base class."""
        super().check_encoder(facts)
        if self.projection.sites and not facts.has_rows:
            raise ConfigError(
                f"objective.projection.sites is {self.projection.sites}, and encoder {facts.name} as configured gives "
                "one row of features for a whole window, so that there is nothing to average around sites; leave it out"
            )
