"""Published architectures, rebuilt: their public weights can be imported, see ``eegfm.encoders.key_maps``."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from eegfm.encoders.traits import EncoderChoice, Traits, named_size

PatchNorm = Literal["window", "patch"]
_PATCHWISE: Mapping[str, str] = {"patch_norm": "patch"}
_PUBLISHED: Mapping[str, str] = {"patch_norm": "window"}


class LunaConfig(EncoderChoice):
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
        normalisation: ``fixed_scale`` keeps amplitude differences between channels and persons. ``window_zscore``, as
            published, divides each channel by its standard deviation over the window: all tokens then know of it.
        patch_norm: What the group norms of the convolutions take mean and variance of: each ``patch`` alone, or all
            patches of the ``window``, as published. With the second, all tokens know of the window.
        floor_uv: Least standard deviation that ``window_zscore`` divides by: noise of a flat channel stays small.
        signal_scale_uv: Microvolts that enter the network as 1 with ``fixed_scale``, and that objectives count as 1.
        clip: Largest absolute value after ``fixed_scale``.
    """

    implementation: ClassVar[str] = "eegfm.encoders.luna.model:Luna"
    traits: ClassVar[Traits] = Traits(output="patches", any_order=True)
    patchwise: ClassVar[Mapping[str, str]] = {"normalisation": "fixed_scale", "patch_norm": "patch"}
    published: ClassVar[Mapping[str, str]] = {"normalisation": "window_zscore", "patch_norm": "window"}
    sizes: ClassVar[dict[str, dict[str, int]]] = {
        "base": {"n_queries": 4, "d_token": 64, "n_layers": 8},
        "large": {"n_queries": 6, "d_token": 96, "n_layers": 10},
        "huge": {"n_queries": 8, "d_token": 128, "n_layers": 24},
    }

    name: Literal["luna"] = "luna"
    size: Literal["base", "large", "huge"] | None = "base"
    n_queries: PositiveInt = 4
    d_token: PositiveInt = 64
    n_layers: PositiveInt = 8
    patch_samples: PositiveInt = 40
    dropout_ratio: float = Field(default=0.1, ge=0, lt=1)
    drop_path_ratio: float = Field(default=0.0, ge=0, lt=1)
    position_jitter: float = Field(default=0.0, ge=0)
    normalisation: Literal["window_zscore", "fixed_scale"] = "fixed_scale"
    patch_norm: PatchNorm = "patch"
    floor_uv: PositiveFloat = 1.0
    signal_scale_uv: PositiveFloat = 30.0
    clip: PositiveFloat = 15.0

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


class FembaConfig(EncoderChoice):
    """FEMBA (arXiv 2502.06438): bidirectional Mamba blocks over time, all channels of a montage in each vector.

    Args:
        size: Names ``d_token`` and ``n_layers`` that are not given: tiny (35, 2), base (35, 12), large (79, 4),
            huge (79, 20).
        patch_samples: Samples of a patch; the published models take 16 at 256 Hz.
        channels_per_token: Neighbouring channels that share a token; a channel of zeros fills up the last one.
        d_token: Width E of a token; an encoded vector has E times the number of tokens in a patch of time.
        n_layers: Number of bidirectional layers.
        expand: Channels of the scan over the width of an encoded vector.
        d_state: Numbers of state per channel of the scan.
        d_conv: Patches that the convolution before the scan looks at.
        low_uv: Microvolts that enter the network as 0.
        high_uv: Microvolts that enter the network as 1.
        scan: ``mamba_ssm`` runs on its fused kernels, ``torch`` on any device, ``auto`` on what is there.
    """

    implementation: ClassVar[str] = "eegfm.encoders.femba.model:Femba"
    traits: ClassVar[Traits] = Traits(output="patches", one_montage=True, one_length=True)
    sizes: ClassVar[dict[str, dict[str, int]]] = {
        "tiny": {"d_token": 35, "n_layers": 2},
        "base": {"d_token": 35, "n_layers": 12},
        "large": {"d_token": 79, "n_layers": 4},
        "huge": {"d_token": 79, "n_layers": 20},
    }

    name: Literal["femba"] = "femba"
    size: Literal["tiny", "base", "large", "huge"] | None = "tiny"
    patch_samples: PositiveInt = 16
    channels_per_token: PositiveInt = 2
    d_token: PositiveInt = 35
    n_layers: PositiveInt = 2
    expand: PositiveInt = 4
    d_state: PositiveInt = 16
    d_conv: PositiveInt = 4
    low_uv: float = -20.0
    high_uv: float = 20.0
    scan: Literal["auto", "torch", "mamba_ssm"] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _named_size(cls, data: Any) -> Any:
        return named_size(data, cls.sizes, "tiny")

    @model_validator(mode="after")
    def _has_a_range(self) -> "FembaConfig":
        if self.low_uv >= self.high_uv:
            raise ValueError(f"low_uv {self.low_uv:g} is not below high_uv {self.high_uv:g}; published: -20 and 20")
        return self


class LabramConfig(EncoderChoice):
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
        patch_norm: What the group norms of the convolutions take mean and variance of: each ``patch`` alone, which
            takes away how large it is, or all patches of the ``window``, as published. With the second, all tokens
            know of the window's mean and variance.
        qk_norm: Norm queries and keys. The published encoders do, their tokenizer does not.
        query_value_bias: Biases of queries and values. The published tokenizer has them, their encoders do not.
        drop_path_ratio: Share of windows that skip the last layer's branches while training, less in earlier layers;
            published: 0 for pretraining, 0.1 for fine-tuning.
        signal_scale_uv: Microvolts that enter the network as 1.
        summary: What probes and heads see: the ``mean`` over time of each channel, or the ``cls`` token's vector.
    """

    implementation: ClassVar[str] = "eegfm.encoders.labram.model:Labram"
    traits: ClassVar[Traits] = Traits(supports_visible=True, any_order=True)
    patchwise: ClassVar[Mapping[str, str]] = _PATCHWISE
    published: ClassVar[Mapping[str, str]] = _PUBLISHED
    sizes: ClassVar[dict[str, dict[str, float]]] = {
        "base": {"n_maps": 8, "n_layers": 12, "n_heads": 10, "layer_scale": 0.1},
        "large": {"n_maps": 16, "n_layers": 24, "n_heads": 16, "layer_scale": 1e-5},
        "huge": {"n_maps": 32, "n_layers": 48, "n_heads": 16, "layer_scale": 1e-5},
    }

    name: Literal["labram"] = "labram"
    size: Literal["base", "large", "huge"] | None = "base"
    n_maps: PositiveInt = 8
    n_layers: PositiveInt = 12
    n_heads: PositiveInt = 10
    layer_scale: float = Field(default=0.1, ge=0)
    patch_samples: PositiveInt = 200
    max_patches: PositiveInt = 16
    channels: Literal["names", "positions"] = "positions"
    n_position_frequencies: PositiveInt = 4
    patch_norm: PatchNorm = "patch"
    qk_norm: bool = True
    query_value_bias: bool = False
    drop_path_ratio: float = Field(default=0.0, ge=0, lt=1)
    signal_scale_uv: PositiveFloat = 100.0
    summary: Literal["mean", "cls"] = "mean"

    @property
    def d_model(self) -> int:
        """Width D."""
        return self.n_maps * -(-self.patch_samples // 8)

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


class CbramodConfig(EncoderChoice):
    """CBraMod (ICLR 2025, arXiv 2412.07236): criss-cross attention with convolutional conditional positions.

    The width D is ``n_maps`` times the steps of 25 samples in a patch: 200 with the defaults.

    Args:
        n_maps: Maps of the convolutions, a multiple of 5.
        n_layers: Number of layers.
        n_heads: Attention heads, half of them across channels, half across time; even, and they share D evenly.
        d_feed_forward: Width of the feed-forward part.
        dropout_ratio: Share of activations and of attention dropped while training.
        patch_samples: Samples of a patch; the published model takes 200 at 200 Hz.
        patch_norm: What the group norms of the convolutions take mean and variance of: each ``patch`` alone, whose
            size its spectrum still tells, or all patches of the ``window``, as published. With the second, all tokens
            know of the window's mean and variance.
        signal_scale_uv: Microvolts that enter the network as 1.
    """

    implementation: ClassVar[str] = "eegfm.encoders.cbramod.model:Cbramod"
    traits: ClassVar[Traits] = Traits()
    patchwise: ClassVar[Mapping[str, str]] = _PATCHWISE
    published: ClassVar[Mapping[str, str]] = _PUBLISHED

    name: Literal["cbramod"] = "cbramod"
    n_maps: PositiveInt = 25
    n_layers: PositiveInt = 12
    n_heads: PositiveInt = 8
    d_feed_forward: PositiveInt = 800
    dropout_ratio: float = Field(default=0.1, ge=0, lt=1)
    patch_samples: PositiveInt = 200
    patch_norm: PatchNorm = "patch"
    signal_scale_uv: PositiveFloat = 100.0

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


PublishedConfig = LunaConfig | FembaConfig | LabramConfig | CbramodConfig


def as_published(encoder: Any) -> Any:
    """Fill in, for an import, what published weights were trained with and the user does not name.

    Args:
        encoder: A configuration as written in a file. Anything else comes back as it is.
    """
    if not isinstance(encoder, Mapping):
        return encoder
    choices = {member.model_fields["name"].default: member.published for member in get_args(PublishedConfig)}
    return {**choices.get(str(encoder.get("name")), {}), **encoder}
