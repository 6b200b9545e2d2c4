"""Configurations of the encoders that mix patches channel by channel."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from eegfm.config import Amount, Count, Depth
from eegfm.encoders.traits import EncoderConfig, Sight, Traits


class ChannelwiseConfig(EncoderConfig):
    """Base of encoders that mix each channel over time, then the channels.

    Args:
        patch_s: Length of a patch; windows must be whole numbers of patches.
        d_model: Width D of a token.
        n_layers: Number of layers.
        dropout_ratio: Share of activations dropped while training.
        n_position_frequencies: Fourier frequencies per axis that describe an electrode's place.
    """

    traits: ClassVar[Traits] = Traits(any_order=True)

    patch_s: Amount = 1.0
    d_model: Count = 128
    n_layers: Depth = 4
    dropout_ratio: float = Field(default=0.0, ge=0, lt=1)
    n_position_frequencies: Count = 4


class ConvConfig(ChannelwiseConfig):
    """A convolutional encoder of tokens, channel by channel.

    Args:
        kernel_size: Patches that a convolution sees, odd. Dilations are 1, 2, 4, 8 and again.
    """

    implementation: ClassVar[str] = "eegfm.encoders.channelwise.conv:Conv"

    name: Literal["conv"] = "conv"
    kernel_size: Count = 3

    @property
    def sight(self) -> Sight:
        """Kernels of one patch see no other; see the base class."""
        if self.kernel_size > 1:
            return Sight()
        return Sight(patches=False, choice="encoder.kernel_size: 1", remedy="encoder.kernel_size: 3 (or more)")

    @model_validator(mode="after")
    def _kernel_has_a_middle(self) -> "ConvConfig":
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} is even; a kernel sees as far back as ahead: odd")
        return self


class GruConfig(ChannelwiseConfig):
    """A recurrent encoder of tokens, channel by channel, both ways through time."""

    implementation: ClassVar[str] = "eegfm.encoders.channelwise.gru:Gru"

    name: Literal["gru"] = "gru"

    @model_validator(mode="after")
    def _two_halves(self) -> "GruConfig":
        if self.d_model % 2:
            raise ValueError(f"d_model {self.d_model} is odd; half of it runs forwards, half backwards: even")
        return self
