"""Added noise."""

import torch
from torch import Tensor

from eegfm.augmentations.base import SignalAugmentation, filtered, frequency_places, on_device_of
from eegfm.augmentations.config import NoiseConfig
from eegfm.batch import SignalSpec
from eegfm.nn.context import WindowDraws


class Noise(SignalAugmentation):
    """Add Gaussian noise, unrelated between channels. The gradient does not follow its scale.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: NoiseConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: NoiseConfig = config

    def changed(self, signal_uv: Tensor, draws: WindowDraws, mask: Tensor | None) -> Tensor:
        """Add noise; see the base class."""
        noise = on_device_of(signal_uv, draws.long_normal(signal_uv[0].numel())).view_as(signal_uv)
        if self.config.color == "pink":
            noise = filtered(noise, _pink(signal_uv))
        scale: Tensor | float = self.config.sd
        if self.config.relative_to == "window":
            scale = self.config.sd * _window_sd(signal_uv.detach(), mask)
        return signal_uv + scale * noise


def _pink(signal_uv: Tensor) -> Tensor:
    """Gain of each frequency: white noise gets a power of 1/f, none at 0 Hz, and keeps its variance on average."""
    places = frequency_places(signal_uv)
    power = torch.where(places > 0, 1 / places.clamp_min(torch.finfo(places.dtype).tiny), 0.0)
    # All frequencies but 0 Hz and half the rate stand for two of the full transform.
    n_samples = signal_uv.shape[-1]
    both = 2 * power.sum() - (power[-1] if n_samples % 2 == 0 else 0.0)
    return (power * (n_samples / both)).sqrt()


def _window_sd(signal_uv: Tensor, mask: Tensor | None) -> Tensor:
    """(B, 1, 1) root of the mean variance of a window's channels."""
    variance = signal_uv.var(dim=-1, correction=0)
    if mask is None:
        return variance.mean(dim=1).sqrt()[:, None, None]
    n_present = mask.sum(dim=1).clamp_min(1)
    return (variance.masked_fill(~mask, 0.0).sum(dim=1) / n_present).sqrt()[:, None, None]
