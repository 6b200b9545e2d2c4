"""Base class of augmentations."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from eegfm.augmentations.config import AugmentationBase
from eegfm.batch import SignalSpec, WindowBatch, padding_mask
from eegfm.nn.context import WindowDraws
from eegfm.nn.device import sent
from eegfm.nn.full_precision import full


class Augmentation(nn.Module, ABC):
    """Base of all augmentations: random changes of re-referenced windows in microvolts, before the adapter.

    They have no weights. Each window draws its own numbers, on the CPU, and no window knows of another. Nothing waits
    for the device. The batch that goes in stays as it is. Gradients pass to its signal.

    Args:
        config: Choices.
        spec: Specification of the data behind re-referencing.
    """

    def __init__(self, config: AugmentationBase, spec: SignalSpec) -> None:
        super().__init__()
        self.config, self.rate_hz = config, spec.rate_hz

    @abstractmethod
    def forward(self, batch: WindowBatch, draws: WindowDraws) -> WindowBatch:
        """Change the windows of one batch.

        Args:
            batch: Windows of one montage, ``signal`` in microvolts; what absent channels hold is arbitrary.
            draws: Random numbers of these windows.

        Returns:
            The changed windows. Channels that are absent stay absent.
        """


class SignalAugmentation(Augmentation):
    """Base of augmentations that change the signal only: absent channels come out as zero."""

    def forward(self, batch: WindowBatch, draws: WindowDraws) -> WindowBatch:
        """Change the signal; see the base class."""
        signal, mask = batch["signal"], padding_mask(batch)
        with torch.autocast(signal.device.type, enabled=False):
            changed = self.changed(full(signal), draws, mask)
            if mask is not None:
                changed = changed.masked_fill(~mask.unsqueeze(-1), 0.0)
        return {**batch, "signal": changed.to(signal.dtype)}

    @abstractmethod
    def changed(self, signal_uv: Tensor, draws: WindowDraws, mask: Tensor | None) -> Tensor:
        """Change (B, C, T) microvolts in at least float32.

        Args:
            signal_uv: Microvolts; what absent channels hold is arbitrary, and must not reach the others.
            draws: Random numbers of these windows.
            mask: (B, C) bool, False for an absent channel; None where there is none.
        """


def on_device_of(signal_uv: Tensor, values: Tensor) -> Tensor:
    """Random numbers from the CPU, in the dtype and on the device of a signal, without waiting for it."""
    return sent(values.to(signal_uv.dtype), signal_uv.device)


def filtered(signal_uv: Tensor, response: Tensor) -> Tensor:
    """Filter (B, C, T) microvolts by their Fourier transform; a window is taken for one period of its signal.

    Args:
        signal_uv: Microvolts in at least float32, outside autocast.
        response: (B, C or 1, T // 2 + 1) of each frequency, real or complex.
    """
    out: Tensor = torch.fft.irfft(torch.fft.rfft(signal_uv) * response, n=signal_uv.shape[-1])
    return out


def frequency_places(signal_uv: Tensor) -> Tensor:
    """(T // 2 + 1,) frequencies of the transform of a (B, C, T) signal, as a share of half the rate."""
    n_samples = signal_uv.shape[-1]
    places = torch.arange(n_samples // 2 + 1, dtype=signal_uv.dtype, device=signal_uv.device)
    return places * (2.0 / n_samples)


def amplitudes(draws: WindowDraws, n_channels: int, n_waves: int, sd: float) -> Tensor:
    """(B, C, K) normal numbers on the CPU; the k-th has the standard deviation ``sd / sqrt(k)``."""
    scale = sd * torch.arange(1, n_waves + 1).rsqrt()
    return draws.normal(n_channels * n_waves).reshape(-1, n_channels, n_waves) * scale
