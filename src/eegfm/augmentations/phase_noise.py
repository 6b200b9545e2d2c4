"""Smooth random change of phases."""

import torch
from torch import Tensor

from eegfm.augmentations.base import SignalAugmentation, amplitudes, filtered, frequency_places, on_device_of
from eegfm.augmentations.config import PhaseNoiseConfig
from eegfm.batch import SignalSpec
from eegfm.nn.context import WindowDraws


class PhaseNoise(SignalAugmentation):
    """The phase of each frequency plus ``sum over k of n_k * sd_rad / sqrt(k) * sin(k * pi * f / f_nyquist)``.

    The n_k are normal numbers of a window, or of each of its channels. Amplitudes of all frequencies stay, as in
    Fourier surrogates (Schwabedal et al. 2018, arXiv 1806.08675), whose phases are unrelated from one frequency to the
    next.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: PhaseNoiseConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: PhaseNoiseConfig = config

    def changed(self, signal_uv: Tensor, draws: WindowDraws, mask: Tensor | None) -> Tensor:
        """Turn phases; see the base class."""
        n_channels, n_waves = signal_uv.shape[1] if self.config.per_channel else 1, self.config.n_sines
        weights = on_device_of(signal_uv, amplitudes(draws, n_channels, n_waves, self.config.sd_rad))
        periods = torch.arange(1, n_waves + 1, dtype=signal_uv.dtype, device=signal_uv.device)
        phase_rad = weights @ torch.sin(torch.pi * periods[:, None] * frequency_places(signal_uv))
        return filtered(signal_uv, torch.polar(torch.ones_like(phase_rad), phase_rad))
