"""Samples of a patch as a target.

Shapes: see ``eegfm.objectives.patches.targets.base``.
"""

from typing import ClassVar

from torch import Tensor

from eegfm.objectives.patches.targets.base import CLIP, Asked, Source, Values
from eegfm.objectives.patches.targets.config import NormalizedSignalTarget, SignalTarget


class Signal(Values):
    """Samples over a scale, in microvolts that of the normalization; of the normalized signal as they are.

    Args:
        config: Nothing that is read here.
        source: Its patches are asked for.
    """

    needs_statistics: ClassVar[bool] = False

    def __init__(self, config: SignalTarget, source: Source) -> None:
        super().__init__(source, source.backbone.encoder.patch_samples)
        is_uv = source.of == "microvolts"
        self.scale = source.backbone.normalization.config.objective_scale_uv if is_uv else 1.0
        self.unit = "uV" if is_uv else "1"

    def forward(self, asked: Asked) -> Tensor:
        """Scale and clip; see the base class."""
        return (asked.patches / self.scale).clamp(-CLIP, CLIP)

    def physical(self, outputs: Tensor) -> Tensor | None:
        """Undo the scale; see the base class."""
        return outputs * self.scale


class NormalizedSignal(Values):
    """Samples of each patch and channel, minus their mean, over their standard deviation.

    Args:
        config: The floor.
        source: Its patches are asked for.
    """

    needs_statistics: ClassVar[bool] = False
    unit: str = "sd of the patch"

    def __init__(self, config: NormalizedSignalTarget, source: Source) -> None:
        super().__init__(source, source.backbone.encoder.patch_samples)
        scale_uv = source.backbone.normalization.config.objective_scale_uv
        self.floor = config.floor_uv if source.of == "microvolts" else config.floor_uv / scale_uv

    def forward(self, asked: Asked) -> Tensor:
        """Normalize each patch; see the base class."""
        centred = asked.patches - asked.patches.mean(dim=-1, keepdim=True)
        sd = centred.square().mean(dim=-1, keepdim=True).sqrt()
        return centred / sd.clamp_min(self.floor)

    def physical(self, outputs: Tensor) -> Tensor | None:
        """Show it as it is; see the base class."""
        return outputs
