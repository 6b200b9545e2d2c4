"""The default encoder."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from eegfm.encoders.traits import EncoderChoice, Traits


class PatchTransformerConfig(EncoderChoice):
    """A transformer over patches of single channels that knows where each electrode sits.

    Args:
        patch_s: Length of a patch; windows must be whole numbers of patches.
        d_model: Width D of a token; a multiple of ``head_size``.
        n_layers: Number of layers. ``alternating`` takes turns: channels first, then time; an even number
            gives both the same depth.
        head_size: Width of one attention head, even.
        mlp_ratio: Width of the feed-forward part over ``d_model``.
        dropout_ratio: Share of activations dropped behind attention and feed-forward while training.
        signal_scale_uv: Microvolts that enter the network as 1. A fixed scale keeps amplitude differences
            between persons and channels, which scaling each recording would remove.
        clip: Largest absolute value after scaling; artefacts beyond it are cut to it.
        attention: ``alternating`` attends within a time patch across channels, then within a channel across
            time; ``full`` attends across all tokens in every layer.
        n_position_frequencies: Fourier frequencies per axis that describe an electrode's place; wavelengths
            are 40 cm, 20 cm, 10 cm, ...
        spectrum_input: Add a projection of each patch's log power spectrum to its content.
        spectrum_high_hz: Highest frequency of that spectrum.
    """

    implementation: ClassVar[str] = "eegfm.encoders.patch_transformer:PatchTransformer"
    traits: ClassVar[Traits] = Traits(supports_visible=True, any_order=True)

    name: Literal["patch_transformer"] = "patch_transformer"
    patch_s: PositiveFloat = 1.0
    d_model: PositiveInt = 48
    n_layers: PositiveInt = 4
    head_size: PositiveInt = 16
    mlp_ratio: PositiveFloat = 4.0
    dropout_ratio: float = Field(default=0.0, ge=0, lt=1)
    signal_scale_uv: PositiveFloat = 30.0
    clip: PositiveFloat = 15.0
    attention: Literal["alternating", "full"] = "alternating"
    n_position_frequencies: PositiveInt = 4
    spectrum_input: bool = False
    spectrum_high_hz: PositiveFloat = 45.0

    @model_validator(mode="after")
    def _heads_fit(self) -> "PatchTransformerConfig":
        if self.head_size % 2:
            raise ValueError(f"head_size {self.head_size} is odd; rotary time needs an even one")
        if self.d_model % self.head_size:
            below = self.d_model // self.head_size * self.head_size
            nearest = [d for d in (below, below + self.head_size) if d > 0]
            raise ValueError(
                f"d_model {self.d_model} is not a multiple of head_size {self.head_size}; nearest: {nearest}"
            )
        return self
