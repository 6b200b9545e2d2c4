"""Recurrent encoder of tokens."""

from torch import Tensor, nn

from eegfm.batch import SignalSpec
from eegfm.encoders.channelwise.config import GruConfig
from eegfm.encoders.channelwise.layers import Channelwise


class Gru(Channelwise):
    """Gated recurrent units (arXiv 1406.1078) both ways over the patches of a channel.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: Patches are not whole samples, or a window is not whole patches.
    """

    def __init__(self, config: GruConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec, lambda _: BothWays(config.d_model))


class BothWays(nn.Module):
    """One recurrent layer forwards and one backwards, half the width each.

    Args:
        d_model: Width D, even.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.recurrence = nn.GRU(d_model, d_model // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """(S, P, D) to (S, P, D), alike for all S sequences."""
        mixed: Tensor = self.recurrence(x)[0]
        return mixed
