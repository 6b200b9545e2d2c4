"""Configuration of the patch transformer, the default encoder."""

from typing import Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, model_validator

from eegfm.config import Amount, Count, Depth
from eegfm.encoders.traits import EncoderConfig, Sight, Traits, named_size

_SIZES = {
    "nano": {"d_model": 48, "n_layers": 4, "head_size": 16},
    "tiny": {"d_model": 128, "n_layers": 4, "head_size": 64},
    "small": {"d_model": 256, "n_layers": 8, "head_size": 64},
    "base": {"d_model": 512, "n_layers": 12, "head_size": 64},
    "large": {"d_model": 768, "n_layers": 24, "head_size": 64},
}


class PatchTransformerConfig(EncoderConfig):
    """A transformer over patches of single channels that knows where each electrode sits.

    Args:
        size: Names ``d_model``, ``n_layers`` and ``head_size`` that are not given: ``nano`` 48 x 4 with heads of 16,
            for a laptop; with heads of 64 ``tiny`` 128 x 4, ``small`` 256 x 8, ``base`` 512 x 12, ``large`` 768 x 24.
        patch_s: Length of a patch; windows must be whole numbers of patches.
        d_model: Width D of a token; a multiple of ``head_size``.
        n_layers: Number of layers. ``alternating`` takes turns: channels first, then time; an even number
            gives both the same depth.
        head_size: Width of one attention head, even. 64 suits the attention kernels of accelerators; the published
            width 200 goes with 20, 40 or 100.
        mlp_ratio: Width of the feed-forward part over ``d_model``.
        attention: ``alternating`` attends within a time patch across channels, then within a channel across
            time; ``criss_cross`` does both in every layer, half the heads each; ``full`` attends across all tokens in
            every layer.
        norm: Layer norm, or root mean square only.
        feed_forward: ``gelu``, or ``swiglu`` of two thirds of the width, which costs the same.
        dropout_ratio: Share of activations dropped behind attention and feed-forward while training.
        drop_path_ratio: Share of windows for which the last layer's branches are left out while training; earlier
            layers are left out less often, in proportion to their number.
        patch_embedding: ``linear``, or ``conv``: the same plus a small stack of convolutions.
        spectrum_input: Add a projection of each patch's log power spectrum to its content: of microvolts, whatever the
            normalization.
        spectrum_high_hz: Highest frequency of that spectrum.
        n_position_frequencies: Fourier frequencies per axis that describe an electrode's place; wavelengths
            are 40 cm, 20 cm, 10 cm, ...
        position_jitter_m: Standard deviation, per axis, of what is added to electrodes' places while training.
        n_registers: Learned channels beside those of the data, one token per patch, that every token of the patch can
            write to and read from.
        summary: Features of a window for probes: the ``mean`` of each channel over time, or the first ``register``,
            averaged over time.
    """

    implementation: ClassVar[str] = "eegfm.encoders.patch_transformer.model:PatchTransformer"
    traits: ClassVar[Traits] = Traits(supports_visible=True, any_order=True)

    name: Literal["patch_transformer"] = "patch_transformer"
    size: Literal["nano", "tiny", "small", "base", "large"] | None = "tiny"
    patch_s: Amount = 1.0
    d_model: Count = 128
    n_layers: Depth = 4
    head_size: Count = 64
    mlp_ratio: Amount = 4.0
    attention: Literal["alternating", "criss_cross", "full"] = "alternating"
    norm: Literal["layer", "rms"] = "layer"
    feed_forward: Literal["gelu", "swiglu"] = "gelu"
    dropout_ratio: float = Field(default=0.0, ge=0, lt=1)
    drop_path_ratio: float = Field(default=0.0, ge=0, lt=1)
    patch_embedding: Literal["linear", "conv"] = "linear"
    spectrum_input: bool = False
    spectrum_high_hz: Amount = 45.0
    n_position_frequencies: Count = 4
    position_jitter_m: NonNegativeFloat = 0.0
    n_registers: int = Field(default=0, ge=0, le=1024)
    summary: Literal["mean", "register"] = "mean"

    @property
    def has_rows(self) -> bool:
        """A register stands for the whole window; see the base class."""
        return self.summary == "mean"

    @property
    def sight(self) -> Sight:
        """One layer that takes turns sees channels only; see the base class."""
        if self.attention != "alternating" or self.n_layers > 1:
            return Sight()
        choice = "encoder.attention: alternating and encoder.n_layers: 1"
        return Sight(patches=False, choice=choice, remedy="encoder.n_layers: 2 (or more), or encoder.attention: full")

    @model_validator(mode="before")
    @classmethod
    def _size_named(cls, data: Any) -> Any:
        return named_size(data, _SIZES, "tiny")

    @model_validator(mode="after")
    def _heads_fit(self) -> "PatchTransformerConfig":
        if self.head_size % 2:
            raise ValueError(f"head_size {self.head_size} is odd; rotary time needs an even one")
        if self.d_model % self.head_size:
            below = self.d_model // self.head_size * self.head_size
            nearest = [d for d in (below, below + self.head_size) if d > 0]
            raise ValueError(
                f"d_model {self.d_model} is not a multiple of head_size {self.head_size}; nearest: {nearest}; or give "
                "a head_size that divides it"
            )
        n_heads = self.d_model // self.head_size
        if self.attention == "criss_cross" and n_heads % 2:
            raise ValueError(
                f"attention criss_cross gives half the heads to channels, half to time; d_model {self.d_model} / "
                f"head_size {self.head_size} makes {n_heads}, which is odd; change one of them"
            )
        return self

    @model_validator(mode="after")
    def _register_exists(self) -> "PatchTransformerConfig":
        if self.summary == "register" and not self.n_registers:
            raise ValueError("summary register reads the first register, n_registers is 0; set n_registers: 1 or more")
        return self
