"""Normalization by mean and standard deviation of each channel and window."""

import torch
from torch import Tensor

from eegfm.batch import SignalSpec
from eegfm.normalizations.base import Normalization
from eegfm.normalizations.config import ZscoreConfig


class Zscore(Normalization):
    """``(x - mean) / max(sd, floor_uv)`` over the samples of each channel and window; the variance is unbiased.

    As LUNA was published (arXiv 2510.22257), but for the floor.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: ZscoreConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: ZscoreConfig = config

    def scaled(self, signal_uv: Tensor, mask: Tensor | None) -> Tensor:
        """Standardise; see the base class."""
        # The variance is limited, not its root: the gradient of a flat channel stays finite.
        variance, mean = torch.var_mean(signal_uv, dim=-1, keepdim=True)
        return (signal_uv - mean) * variance.clamp_min(self.config.floor_uv**2).rsqrt()
