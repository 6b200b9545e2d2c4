"""Base class of normalizations."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.normalizations.config import NormalizationBase

_PRECISE = (torch.float32, torch.float64)


class Normalization(nn.Module, ABC):
    """Base of all normalizations. They stand between the adapter and the encoder, and have no weights.

    No window knows of another. Nothing waits for the device.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: NormalizationBase, spec: SignalSpec) -> None:
        super().__init__()
        self.config = config

    def forward(self, batch: WindowBatch) -> WindowBatch:
        """Normalize one batch: its ``signal`` becomes unitless, the microvolts stay as ``signal_uv``.

        Channels that are absent, padding or bad, are zero in ``signal``.
        """
        signal_uv = batch["signal"]
        return {**batch, "signal": self.normalized(signal_uv, batch["channel_mask"]), "signal_uv": signal_uv}

    def normalized(self, signal_uv: Tensor, channel_mask: Tensor) -> Tensor:
        """Normalize any signal in microvolts.

        Args:
            signal_uv: (B, C, T) microvolts. Statistics of half precision are taken in float32.
            channel_mask: (B, C) bool, False for a channel that is absent: it counts in no statistics.

        Returns:
            (B, C, T) unitless, of the dtype of the signal, zero in absent channels.
        """
        # One value spread over all channels can only be True: that is known without looking at it.
        mask = None if channel_mask.stride() == (0, 0) else channel_mask.unsqueeze(-1)
        with torch.autocast(signal_uv.device.type, enabled=False):
            precise = signal_uv if signal_uv.dtype in _PRECISE else signal_uv.float()
            scaled = self.scaled(precise, mask)
            if self.config.clip is not None:
                scaled = scaled.clamp(-self.config.clip, self.config.clip)
            if mask is not None:
                scaled = scaled.masked_fill(~mask, 0.0)
        return scaled.to(signal_uv.dtype)

    @abstractmethod
    def scaled(self, signal_uv: Tensor, mask: Tensor | None) -> Tensor:
        """Scale (B, C, T) microvolts in at least float32, before they are clipped.

        Args:
            signal_uv: Microvolts; what absent channels hold is arbitrary.
            mask: (B, C, 1) bool, False for an absent channel; None where there is none.
        """
