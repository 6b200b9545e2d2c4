"""Configuration of LUNA."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from eegfm.config import Count, Depth
from eegfm.encoders.traits import PATCHWISE_NORM, PUBLISHED_NORM, EncoderConfig, PatchNorm, Traits, named_size
from eegfm.normalizations.config import NormalizationBase, ZscoreConfig


class LunaConfig(EncoderConfig):
    """LUNA (arXiv 2510.22257): learned queries gather the channels of each time step, a transformer reads time.

    Args:
        size: Names queries, width and depth that are not given: the published base, large or huge.
        n_queries: Learned queries Q; an encoded vector is Q times ``d_token`` wide.
        d_token: Width E of a token and of a query, a multiple of 16: 4 norm groups of E / 4 channels, and 2 heads.
        n_layers: Layers over time.
        patch_samples: Samples of a patch, a multiple of 4; the published models take 40 at 256 Hz.
        dropout_ratio: Share of activations dropped where queries gather channels, while training.
        drop_path_ratio: Share of residual branches over time dropped while training; published: 0 for pretraining,
            0.1 or 0.2 for fine-tuning.
        position_jitter: Standard deviation of noise on places while training, in units of the montage's extent along
            each axis; published for pretraining: 0.02.
        patch_norm: Extent of the group norms of the convolutions. ``patch`` normalizes each patch alone. ``window``
            normalizes all patches together, as published; all tokens then depend on the whole window.
    """

    implementation: ClassVar[str] = "eegfm.encoders.luna.model:Luna"
    traits: ClassVar[Traits] = Traits(output="patches", any_order=True, has_queries=True)
    patchwise: ClassVar[Mapping[str, str]] = PATCHWISE_NORM
    published: ClassVar[Mapping[str, str]] = PUBLISHED_NORM
    published_normalization: ClassVar[NormalizationBase | None] = ZscoreConfig(clip=None)
    sizes: ClassVar[dict[str, dict[str, int]]] = {
        "base": {"n_queries": 4, "d_token": 64, "n_layers": 8},
        "large": {"n_queries": 6, "d_token": 96, "n_layers": 10},
        "huge": {"n_queries": 8, "d_token": 128, "n_layers": 24},
    }

    name: Literal["luna"] = "luna"
    size: Literal["base", "large", "huge"] | None = "base"
    n_queries: Count = 4
    d_token: Count = 64
    n_layers: Depth = 8
    patch_samples: Count = 40
    dropout_ratio: float = Field(default=0.1, ge=0, lt=1)
    drop_path_ratio: float = Field(default=0.0, ge=0, lt=1)
    position_jitter: float = Field(default=0.0, ge=0)
    patch_norm: PatchNorm = "patch"

    @model_validator(mode="before")
    @classmethod
    def _named_size(cls, data: Any) -> Any:
        return named_size(data, cls.sizes, "base")

    @model_validator(mode="after")
    def _widths_fit(self) -> "LunaConfig":
        for name, value, unit in (("d_token", self.d_token, 16), ("patch_samples", self.patch_samples, 4)):
            if value % unit:
                below = value // unit * unit
                nearest = [v for v in (below, below + unit) if v > 0]
                raise ValueError(f"{name} {value} is not a multiple of {unit}; nearest: {nearest}")
        return self
