"""Smooth random gain over frequency."""

import torch
from torch import Tensor

from eegfm.augmentations.base import SignalAugmentation, amplitudes, filtered, frequency_places, on_device_of
from eegfm.augmentations.config import SpectralTiltConfig
from eegfm.batch import SignalSpec
from eegfm.nn.context import WindowDraws


class SpectralTilt(SignalAugmentation):
    """Each frequency times ``exp(sum over k of n_k * log_sd / sqrt(k) * cos(k * pi * f / f_nyquist))``.

    The n_k are normal numbers of a window, or of each of its channels.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: SpectralTiltConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: SpectralTiltConfig = config

    def changed(self, signal_uv: Tensor, draws: WindowDraws, mask: Tensor | None) -> Tensor:
        """Scale frequencies; see the base class."""
        n_channels, n_waves = signal_uv.shape[1] if self.config.per_channel else 1, self.config.n_cosines
        weights = on_device_of(signal_uv, amplitudes(draws, n_channels, n_waves, self.config.log_sd))
        periods = torch.arange(1, n_waves + 1, dtype=signal_uv.dtype, device=signal_uv.device)
        cosines = torch.cos(torch.pi * periods[:, None] * frequency_places(signal_uv))
        return filtered(signal_uv, (weights @ cosines).exp())
