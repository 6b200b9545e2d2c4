"""Normalization by one scale per window."""

from torch import Tensor

from eegfm.batch import SignalSpec
from eegfm.normalizations.base import Normalization
from eegfm.normalizations.config import WindowScaleConfig


class WindowScale(Normalization):
    """``x / max(rms, floor_uv)``, with the root mean square over all samples of all channels of a window.

    Channels keep their ratio, and each its mean. For self-supervised training of many montages, a scale across
    channels was found better than one within each (arXiv 2506.22455).

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: WindowScaleConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: WindowScaleConfig = config

    def scaled(self, signal_uv: Tensor, mask: Tensor | None) -> Tensor:
        """Scale; see the base class."""
        if mask is None:
            mean_square = signal_uv.square().mean(dim=(1, 2), keepdim=True)
        else:
            signal_uv = signal_uv.masked_fill(~mask, 0.0)
            by_channel = signal_uv.square().mean(dim=2, keepdim=True)
            mean_square = by_channel.sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp_min(1)
        # The square is limited, not its root: the gradient of a flat window stays finite.
        return signal_uv * mean_square.clamp_min(self.config.floor_uv**2).rsqrt()
