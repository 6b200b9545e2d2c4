"""Normalization by two quantiles of each channel and window."""

from torch import Tensor

from eegfm.batch import SignalSpec
from eegfm.normalizations.base import Normalization
from eegfm.normalizations.config import RobustConfig


class Robust(Normalization):
    """``(x - q_low) / max(q_high - q_low, floor_uv)`` over the samples of each channel and window.

    The quartile normalization that FEMBA describes (arXiv 2502.06438, section II); its public code takes two constants
    in place of the quantiles, see ``FixedScale``.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: RobustConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: RobustConfig = config

    def scaled(self, signal_uv: Tensor, mask: Tensor | None) -> Tensor:
        """Scale; see the base class."""
        # torch.quantile looks at its levels on the CPU; ranks that are numbers of Python need no look.
        ascending = signal_uv.sort(dim=-1).values
        low, high = quantile(ascending, self.config.low), quantile(ascending, self.config.high)
        return (signal_uv - low) / (high - low).clamp_min(self.config.floor_uv)


def quantile(ascending: Tensor, level: float) -> Tensor:
    """(..., 1) quantile of ascending (..., T) values, linear between neighbours as in numpy and torch."""
    rank = level * (ascending.shape[-1] - 1)
    below = int(rank)
    above = min(below + 1, ascending.shape[-1] - 1)
    return ascending[..., below : below + 1].lerp(ascending[..., above : above + 1], rank - below)
