"""Configuration of LaBraM."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from eegfm.config import Count, Depth
from eegfm.encoders.traits import PATCHWISE_NORM, PUBLISHED_NORM, EncoderConfig, PatchNorm, Traits, named_size
from eegfm.normalizations.config import FixedScaleConfig, NormalizationBase


class LabramConfig(EncoderConfig):
    """LaBraM (ICLR 2024, arXiv 2405.18765): convolutional patches, places of electrodes and of time, full attention.

    The width D is ``n_maps`` times the steps of 8 samples in a patch: 200 with the defaults.

    Args:
        size: Names maps, depth, heads and layer scale that are not given: the published base, large or huge.
        n_maps: Maps of the convolutions, a multiple of 4.
        n_layers: Number of layers.
        n_heads: Attention heads; they share D evenly.
        layer_scale: Initial scale of each residual branch; 0 for none.
        patch_samples: Samples of a patch; the published models take 200 at 200 Hz.
        max_patches: Patches of the longest window that has time embeddings.
        channels: ``names``, as published, looks electrodes up in a table of 128 names and refuses others;
            ``positions`` embeds x/y/z and takes any montage.
        n_position_frequencies: Fourier frequencies per axis of ``positions``.
        patch_norm: Extent of the group norms of the convolutions. ``patch`` normalizes each patch alone and removes its
            amplitude. ``window`` normalizes all patches together, as published; all tokens then depend on the window's
            mean and variance.
        qk_norm: Norm queries and keys. The published encoders do, their tokenizer does not.
        query_value_bias: Biases of queries and values. The published tokenizer has them, their encoders do not.
        drop_path_ratio: Share of windows that skip the last layer's branches while training, less in earlier layers;
            published: 0 for pretraining, 0.1 for fine-tuning.
        summary: Features for probes and heads: the ``mean`` over time of each channel, or the ``cls`` token's vector.
    """

    implementation: ClassVar[str] = "eegfm.encoders.labram.model:Labram"
    traits: ClassVar[Traits] = Traits(supports_visible=True, any_order=True)
    patchwise: ClassVar[Mapping[str, str]] = PATCHWISE_NORM
    published: ClassVar[Mapping[str, str]] = PUBLISHED_NORM
    default_normalization: ClassVar[NormalizationBase] = FixedScaleConfig(scale_uv=100.0, clip=None)
    sizes: ClassVar[dict[str, dict[str, float]]] = {
        "base": {"n_maps": 8, "n_layers": 12, "n_heads": 10, "layer_scale": 0.1},
        "large": {"n_maps": 16, "n_layers": 24, "n_heads": 16, "layer_scale": 1e-5},
        "huge": {"n_maps": 32, "n_layers": 48, "n_heads": 16, "layer_scale": 1e-5},
    }

    name: Literal["labram"] = "labram"
    size: Literal["base", "large", "huge"] | None = "base"
    n_maps: Count = 8
    n_layers: Depth = 12
    n_heads: Count = 10
    layer_scale: float = Field(default=0.1, ge=0)
    patch_samples: Count = 200
    max_patches: Count = 16
    channels: Literal["names", "positions"] = "positions"
    n_position_frequencies: Count = 4
    patch_norm: PatchNorm = "patch"
    qk_norm: bool = True
    query_value_bias: bool = False
    drop_path_ratio: float = Field(default=0.0, ge=0, lt=1)
    summary: Literal["mean", "cls"] = "mean"

    @property
    def d_model(self) -> int:
        """Width D."""
        return self.n_maps * -(-self.patch_samples // 8)

    @property
    def has_rows(self) -> bool:
        """A [CLS] token stands for the whole window; see the base class."""
        return self.summary == "mean"

    @model_validator(mode="before")
    @classmethod
    def _named_size(cls, data: Any) -> Any:
        return named_size(data, cls.sizes, "base")

    @model_validator(mode="after")
    def _widths_fit(self) -> "LabramConfig":
        if self.n_maps % 4:
            raise ValueError(f"n_maps {self.n_maps} is not a multiple of 4, the groups of the norms")
        if self.d_model % self.n_heads:
            raise ValueError(
                f"n_heads {self.n_heads} does not divide the width {self.d_model} (n_maps {self.n_maps} times "
                f"{self.d_model // self.n_maps} steps in a patch); change n_heads, n_maps or patch_samples"
            )
        return self
