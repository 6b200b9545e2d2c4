"""Augmentations one after another."""

from collections.abc import Sequence

from torch import nn

from eegfm.augmentations.base import Augmentation
from eegfm.augmentations.config import AugmentationBase
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.nn.context import AUGMENTATION, Context

_FIRST_PURPOSE = 1_000 * AUGMENTATION
"""From here on, one purpose of random numbers for each augmentation of a chain."""


class Augmentations(nn.Module):
    """Augmentations in their order. What one draws depends on its place, and not on what others draw.

    Args:
        configs: Their configurations.
        spec: Specification of the data behind re-referencing.

    Raises:
        ConfigError: One does not fit the data.
    """

    def __init__(self, configs: Sequence[AugmentationBase], spec: SignalSpec) -> None:
        super().__init__()
        self.members = nn.ModuleList(_built(config, spec) for config in configs)

    def forward(self, batch: WindowBatch, context: Context) -> WindowBatch:
        """Change the windows that this rank and cut have of a micro-batch; see ``Augmentation``.

        Args:
            batch: Re-referenced windows of one montage, ``signal`` in microvolts.
            context: Place in the training, and source of the random numbers.
        """
        for place, augmentation in enumerate(self.members):
            draws = context.window_draws(_FIRST_PURPOSE + place, batch["corpus"], len(batch["signal"]))
            batch = augmentation(batch, draws)
        return batch


def _built(config: AugmentationBase, spec: SignalSpec) -> Augmentation:
    augmentation = config.build(spec)
    assert isinstance(augmentation, Augmentation), f"{config.implementation} is no Augmentation"
    return augmentation
