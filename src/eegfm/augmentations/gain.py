"""Random gain of a window."""

from torch import Tensor

from eegfm.augmentations.base import SignalAugmentation, on_device_of
from eegfm.augmentations.config import GainConfig
from eegfm.batch import SignalSpec
from eegfm.nn.context import WindowDraws


class Gain(SignalAugmentation):
    """``signal * exp(log_sd * n)`` with one normal number n for each window.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: GainConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: GainConfig = config

    def changed(self, signal_uv: Tensor, draws: WindowDraws, mask: Tensor | None) -> Tensor:
        """Scale windows; see the base class."""
        gain = (self.config.log_sd * draws.normal(1)).exp()
        return signal_uv * on_device_of(signal_uv, gain).unsqueeze(-1)
