"""Removal of a random band of frequencies."""

import torch
from torch import Tensor

from eegfm.augmentations.base import SignalAugmentation, filtered, frequency_places, on_device_of
from eegfm.augmentations.config import BandStopConfig
from eegfm.batch import SignalSpec
from eegfm.errors import ConfigError
from eegfm.nn.context import WindowDraws


class BandStop(SignalAugmentation):
    """Remove one band from all channels of a window; centre and width are drawn evenly. Edges are half cosines.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: The highest centre is not below half the rate.
    """

    def __init__(self, config: BandStopConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: BandStopConfig = config
        if config.high_hz >= spec.rate_hz / 2:
            raise ConfigError(
                f"high_hz {config.high_hz:g} of augmentation band_stop is not below half the rate "
                f"({spec.rate_hz / 2:g} Hz); lower it"
            )

    def changed(self, signal_uv: Tensor, draws: WindowDraws, mask: Tensor | None) -> Tensor:
        """Remove a band; see the base class."""
        config, places = self.config, draws.uniform(2)
        centre_hz = config.low_hz + places[:, :1] * (config.high_hz - config.low_hz)
        width_hz = config.min_width_hz + places[:, 1:] * (config.max_width_hz - config.min_width_hz)
        band_hz = on_device_of(signal_uv, torch.cat([centre_hz, width_hz / 2], dim=1)).unsqueeze(-1)
        distance_hz = (frequency_places(signal_uv) * (self.rate_hz / 2) - band_hz[:, :1]).abs()
        beyond = ((distance_hz - band_hz[:, 1:]) / config.edge_hz).clamp(0, 1)
        return filtered(signal_uv, (1 - torch.cos(torch.pi * beyond)) / 2)
