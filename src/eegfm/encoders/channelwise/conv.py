"""Convolutional encoder of tokens."""

from torch import Tensor, nn

from eegfm.batch import SignalSpec
from eegfm.encoders.channelwise.config import ConvConfig
from eegfm.encoders.channelwise.layers import Channelwise


class Conv(Channelwise):
    """Dilated convolutions over the patches of a channel; dilations 1, 2, 4, 8 and again, as in
    WaveNet (arXiv 1609.03499).

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: Patches are not whole samples, or a window is not whole patches.
    """

    def __init__(self, config: ConvConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec, lambda k: DilatedConvolution(config.d_model, config.kernel_size, 2 ** (k % 4)))


class DilatedConvolution(nn.Module):
    """A convolution that sees as far back as ahead, then a projection.

    Args:
        d_model: Width D.
        kernel_size: Patches that it sees, odd.
        dilation: Distance between them.
    """

    def __init__(self, d_model: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        reach = dilation * (kernel_size // 2)
        self.convolution = nn.Conv1d(d_model, d_model, kernel_size, padding=reach, dilation=dilation)
        self.activation = nn.GELU()
        self.projection = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """(S, P, D) to (S, P, D), alike for all S sequences."""
        mixed: Tensor = self.projection(self.activation(self.convolution(x.transpose(1, 2)).transpose(1, 2)))
        return mixed
