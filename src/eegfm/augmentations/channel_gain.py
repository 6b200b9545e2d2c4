"""Random gain of each channel."""

from torch import Tensor

from eegfm.augmentations.base import SignalAugmentation, on_device_of
from eegfm.augmentations.config import ChannelGainConfig
from eegfm.batch import SignalSpec
from eegfm.nn.context import WindowDraws


class ChannelGain(SignalAugmentation):
    """``signal * exp(log_sd * n)`` with a normal number n for each channel of each window.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: ChannelGainConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: ChannelGainConfig = config

    def changed(self, signal_uv: Tensor, draws: WindowDraws, mask: Tensor | None) -> Tensor:
        """Scale channels; see the base class."""
        gain = (self.config.log_sd * draws.normal(signal_uv.shape[1])).exp()
        return signal_uv * on_device_of(signal_uv, gain).unsqueeze(-1)
