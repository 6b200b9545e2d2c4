"""Normalization by mean and standard deviation that move with time.

Shapes: B windows, C channels, T samples in K blocks of L.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from eegfm.batch import SignalSpec
from eegfm.errors import ConfigError
from eegfm.normalizations.base import Normalization
from eegfm.normalizations.config import ExponentialMovingConfig

_BLOCK_SAMPLES = 32  # few products within blocks, and few blocks in a window


class ExponentialMoving(Normalization):
    """``(x - mean) / max(sd, floor_uv)`` with exponential weights of the samples up to each one.

    The weight of a sample falls by a factor of ``1 - 1 / (time_constant_s * rate_hz)`` with each later sample. Weights
    sum to 1 from the first sample on. The variance is the same mean of the squared differences from the moving mean.
    This is ``exponential_moving_standardize`` of braindecode without its initial block: its ``factor_new`` of 0.001 at
    250 Hz is a time constant of 4 s.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: The time constant is less than a sample.
    """

    def __init__(self, config: ExponentialMovingConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: ExponentialMovingConfig = config
        factor = 1 / (config.time_constant_s * spec.rate_hz)
        if factor >= 1:
            raise ConfigError(
                f"normalization.time_constant_s {config.time_constant_s:g} is not above one sample at "
                f"{spec.rate_hz:g} Hz ({1 / spec.rate_hz:g} s); raise it, or choose normalization fixed_scale"
            )
        self.decay = 1 - factor

    def scaled(self, signal_uv: Tensor, mask: Tensor | None) -> Tensor:
        """Standardise; see the base class."""
        from_start_uv = signal_uv - signal_uv[..., :1]  # changes no difference, and spares digits for it
        centred = from_start_uv - moving_mean(from_start_uv, self.decay)
        variance = moving_mean(centred.square(), self.decay)
        return centred * variance.clamp_min(self.config.floor_uv**2).rsqrt()


def moving_mean(x: Tensor, decay: float) -> Tensor:
    """(..., T) means of the values up to each one, weighted with powers of ``decay``, the latest with the most.

    Blocks are summed by one matrix, and what earlier blocks leave behind by another: no loop runs over samples. All
    weights are at most 1, so that nothing overflows.
    """
    T, L = x.shape[-1], _BLOCK_SAMPLES
    blocks = pad(x, (0, -T % L)).view(*x.shape[:-1], -(-T // L), L)
    within = blocks @ _weights(L, decay, x).T
    ends = within[..., -1] @ _weights(blocks.shape[-2], decay**L, x).T  # (..., K) sums up to the end of each block
    before = pad(ends, (1, 0))[..., :-1]
    ages = torch.arange(1, L + 1, dtype=x.dtype, device=x.device)
    sums = within + before.unsqueeze(-1) * torch.exp(ages * math.log(decay))
    n_seen = torch.arange(1, T + 1, dtype=x.dtype, device=x.device)
    total = torch.expm1(n_seen * math.log(decay)) / (decay - 1)
    means: Tensor = sums.flatten(-2)[..., :T] / total
    return means


def _weights(n: int, decay: float, like: Tensor) -> Tensor:
    """(n, n) weight of value k in the sum up to value i: ``decay ** (i - k)``, and zero for later values."""
    places = torch.arange(n, dtype=like.dtype, device=like.device)
    ages = places.unsqueeze(1) - places
    return torch.exp(ages.clamp_min(0) * math.log(decay)).tril()
