"""Configuration of CBraMod."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from eegfm.config import Count, Depth
from eegfm.encoders.traits import PATCHWISE_NORM, PUBLISHED_NORM, EncoderConfig, PatchNorm, Traits
from eegfm.normalizations.config import FixedScaleConfig, NormalizationBase


class CbramodConfig(EncoderConfig):
    """CBraMod (ICLR 2025, arXiv 2412.07236): criss-cross attention with convolutional conditional positions.

    The width D is ``n_maps`` times the steps of 25 samples in a patch: 200 with the defaults.

    Args:
        n_maps: Maps of the convolutions, a multiple of 5.
        n_layers: Number of layers.
        n_heads: Attention heads, half of them across channels, half across time; even, and they share D evenly.
        d_feed_forward: Width of the feed-forward part.
        dropout_ratio: Share of activations and of attention dropped while training.
        patch_samples: Samples of a patch; the published model takes 200 at 200 Hz.
        patch_norm: Extent of the group norms of the convolutions. ``patch`` normalizes each patch alone; the spectrum
            still carries its amplitude. ``window`` normalizes all patches together, as published; all tokens then
            depend on the window's mean and variance.
    """

    implementation: ClassVar[str] = "eegfm.encoders.cbramod.model:Cbramod"
    traits: ClassVar[Traits] = Traits()
    patchwise: ClassVar[Mapping[str, str]] = PATCHWISE_NORM
    published: ClassVar[Mapping[str, str]] = PUBLISHED_NORM
    default_normalization: ClassVar[NormalizationBase] = FixedScaleConfig(scale_uv=100.0, clip=None)

    name: Literal["cbramod"] = "cbramod"
    n_maps: Count = 25
    n_layers: Depth = 12
    n_heads: Count = 8
    d_feed_forward: Count = 800
    dropout_ratio: float = Field(default=0.1, ge=0, lt=1)
    patch_samples: Count = 200
    patch_norm: PatchNorm = "patch"

    @property
    def d_model(self) -> int:
        """Width D."""
        return self.n_maps * -(-self.patch_samples // 25)

    @model_validator(mode="after")
    def _widths_fit(self) -> "CbramodConfig":
        if self.n_maps % 5:
            raise ValueError(f"n_maps {self.n_maps} is not a multiple of 5, the groups of the norms")
        if self.n_heads % 2 or self.d_model % self.n_heads:
            raise ValueError(
                f"n_heads {self.n_heads} is odd or does not divide the width {self.d_model} (n_maps {self.n_maps} "
                f"times {self.d_model // self.n_maps} steps in a patch); change n_heads, n_maps or patch_samples"
            )
        return self
