"""Configuration of inter-subject correlation. No torch here."""

from typing import ClassVar, Literal

from pydantic import Field

from eegfm.objectives.pairs.config import PairObjectiveConfig


class IscConfig(PairObjectiveConfig):
    """Correlate each feature between two persons over the moments of a movie (inter-subject correlation, ISC).

    The loss is a correlation over the moments of a micro-batch, which should hold ten pairs or more. Two moments
    correlate by 1 or by -1 whatever the features are, so fewer than three pairs are refused.

    Args:
        decorrelation: Weight of the correlations between different features, which keep features from being copies.
    """

    implementation: ClassVar[str] = "eegfm.objectives.isc.model:Isc"
    default_pairing: ClassVar[str | None] = "movie_moment"
    only_pairings: ClassVar[tuple[str, ...]] = ("movie_moment",)
    least_pairs: ClassVar[int] = 3

    name: Literal["isc"] = "isc"
    decorrelation: float = Field(default=0.005, ge=0, le=1)
