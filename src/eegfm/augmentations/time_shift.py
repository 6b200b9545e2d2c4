"""Random shift in time."""

import torch
from torch import Tensor

from eegfm.augmentations.base import SignalAugmentation
from eegfm.augmentations.config import TimeShiftConfig
from eegfm.batch import SignalSpec
from eegfm.errors import ConfigError
from eegfm.nn.context import WindowDraws
from eegfm.nn.device import sent


class TimeShift(SignalAugmentation):
    """Shift windows by a whole number of samples, each as likely as the others; a positive one makes them later.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: The largest shift is less than a sample.
    """

    def __init__(self, config: TimeShiftConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: TimeShiftConfig = config
        self.max_samples = int(config.max_ms * spec.rate_hz / 1000 + 1e-9)
        if not self.max_samples:
            raise ConfigError(
                f"max_ms {config.max_ms:g} of augmentation time_shift is less than a sample "
                f"({1000 / spec.rate_hz:g} ms); raise it"
            )

    def changed(self, signal_uv: Tensor, draws: WindowDraws, mask: Tensor | None) -> Tensor:
        """Shift windows; see the base class.

        Raises:
            ConfigError: The largest shift is as long as the windows.
        """
        n_samples = signal_uv.shape[-1]
        if self.max_samples >= n_samples:
            raise ConfigError(
                f"max_ms {self.config.max_ms:g} of augmentation time_shift is no less than a window of "
                f"{1000 * n_samples / self.rate_hz:g} ms; lower it"
            )
        shift = (draws.uniform(1) * (2 * self.max_samples + 1)).long() - self.max_samples
        source = torch.arange(n_samples, device=signal_uv.device) - sent(shift, signal_uv.device)
        if self.config.edges == "circular":
            source = source % n_samples
        else:
            source = (n_samples - 1) - (source.abs() - (n_samples - 1)).abs()
        return signal_uv.gather(2, source.unsqueeze(1).expand_as(signal_uv))
