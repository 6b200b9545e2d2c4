"""Normalization by a fixed scale."""

from torch import Tensor

from eegfm.batch import SignalSpec
from eegfm.normalizations.base import Normalization
from eegfm.normalizations.config import FixedScaleConfig


class FixedScale(Normalization):
    """``(x - offset_uv) / scale_uv``.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: FixedScaleConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: FixedScaleConfig = config

    def scaled(self, signal_uv: Tensor, mask: Tensor | None) -> Tensor:
        """Divide; see the base class."""
        if self.config.offset_uv:
            signal_uv = signal_uv - self.config.offset_uv
        return signal_uv / self.config.scale_uv
