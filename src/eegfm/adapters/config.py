"""Configurations of the channel adapters. No torch here."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, model_validator

from eegfm.config import Amount, Buildable, Count
from eegfm.signal.montages.canonical import CanonicalChoice


class ChannelAdapterConfig(Buildable):
    """Base of the configurations of adapters."""

    has_weights: ClassVar[bool] = False
    """Whether there is anything to train."""
    name: str


class NoAdapterConfig(ChannelAdapterConfig):
    """Channels stay as they are: for encoders that know where each electrode sits."""

    implementation: ClassVar[str] = "eegfm.adapters.none:NoAdapter"

    name: Literal["none"] = "none"


class ZeroPadConfig(ChannelAdapterConfig):
    """Channels go to electrodes of a canonical montage; electrodes that get none are zero and masked.

    Args:
        montage: Name of the canonical montage.
        max_distance_m: Along the scalp, the farthest that an electrode may stand for a channel.
        unplaced: Treatment of channels without a free electrode at this distance: ``refuse`` is an error that names
            them, ``drop`` leaves them out, which the log counts.
    """

    implementation: ClassVar[str] = "eegfm.adapters.zero_pad:ZeroPad"

    name: Literal["zero_pad"] = "zero_pad"
    montage: CanonicalChoice = "gsn_129"
    max_distance_m: Amount = 0.03
    unplaced: Literal["refuse", "drop"] = "refuse"


class InterpolateConfig(ChannelAdapterConfig):
    """Potentials at the electrodes of a canonical montage, by spherical splines through the scalp electrodes.

    Args:
        montage: Name of the canonical montage.
        regularisation: See ``eegfm.signal.montages.splines.spline_matrix``.
    """

    implementation: ClassVar[str] = "eegfm.adapters.interpolate:Interpolate"

    name: Literal["interpolate"] = "interpolate"
    montage: CanonicalChoice = "1010_64"
    regularisation: NonNegativeFloat = 1e-5


class PerceiverConfig(ChannelAdapterConfig):
    """Virtual channels that learn where to look: attention of learned queries over the channels of a short patch.

    Args:
        montage: One query for each of its electrodes, at its place.
        n_queries: So many queries instead, spread evenly over the scalp.
        patch_s: Samples that are attended to together; a whole number of them must make a patch of the encoder.
        d_model: Width D of a channel's token.
        n_heads: Attention heads; they start with views from narrow to wide.
        n_position_frequencies: See ``eegfm.encoders.config.PatchTransformerConfig``.
        signal_scale_uv: Microvolts that count as 1 inside.
        clip: Largest absolute value inside.
        regularisation: Regularisation of the splines that give the target signals of virtual channels.
    """

    implementation: ClassVar[str] = "eegfm.adapters.perceiver:Perceiver"
    has_weights: ClassVar[bool] = True

    name: Literal["perceiver"] = "perceiver"
    montage: CanonicalChoice = "1010_64"
    n_queries: Count | None = None
    patch_s: Amount = 0.25
    d_model: Count = 64
    n_heads: Count = 4
    n_position_frequencies: Count = 4
    signal_scale_uv: Amount = 30.0
    clip: Amount = 15.0
    regularisation: NonNegativeFloat = 1e-5

    @model_validator(mode="after")
    def _heads_fit(self) -> "PerceiverConfig":
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_heads {self.n_heads}")
        return self


AdapterConfig = Annotated[
    NoAdapterConfig | ZeroPadConfig | InterpolateConfig | PerceiverConfig, Field(discriminator="name")
]
