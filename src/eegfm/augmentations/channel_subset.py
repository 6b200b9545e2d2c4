"""Random subset of the channels."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eegfm.augmentations.base import Augmentation
from eegfm.augmentations.config import ChannelSubsetConfig
from eegfm.batch import SignalSpec, WindowBatch, channel_padding
from eegfm.nn.context import WindowDraws
from eegfm.nn.device import sent


class ChannelSubset(Augmentation):
    """Keep a random subset of the channels, the same for all windows of a micro-batch, in their order.

    A window that lacks a channel of the subset takes the next one of the micro-batch's random order in its place. So no
    window is without a channel, and shapes stay the same.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: ChannelSubsetConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: ChannelSubsetConfig = config

    def forward(self, batch: WindowBatch, draws: WindowDraws) -> WindowBatch:
        """Take a subset; see the base class."""
        n_channels = batch["signal"].shape[1]
        draw = draws.shared_uniform(n_channels).numpy()
        size = self.config.size(n_channels)
        if size == n_channels:
            return batch
        known = channel_padding(batch)
        # Absent channels, if any, come last.
        order = np.argsort(draw[None] + (0.0 if known is None else 2.0 * ~known), axis=1, kind="stable")
        chosen = np.sort(order[:, :size], axis=1)
        taken = _Taken(sent(torch.from_numpy(chosen), batch["signal"].device))
        out: WindowBatch = {
            **batch,
            "signal": taken(batch["signal"]),
            "channel_positions": taken(batch["channel_positions"]),
            "channel_mask": _mask(batch, taken, known),
            "known_mask": None if known is None else np.take_along_axis(known, chosen, axis=1),
        }
        if "second_positions" in batch:
            out["second_positions"] = taken(batch["second_positions"])
        return out


class _Taken:
    """Channels of each window, from (B or 1, n) numbers on the device."""

    def __init__(self, chosen: Tensor) -> None:
        self._chosen = chosen

    def __call__(self, values: Tensor) -> Tensor:
        if len(self._chosen) == 1:
            return values.index_select(1, self._chosen[0])
        index = self._chosen.view(*self._chosen.shape, *(1,) * (values.ndim - 2))
        return values.gather(1, index.expand(*self._chosen.shape, *values.shape[2:]))


def _mask(batch: WindowBatch, taken: _Taken, known: NDArray[np.bool_] | None) -> Tensor:
    mask = batch["channel_mask"]
    if known is None:
        # One value spread over all channels says without a look that none is absent.
        return mask[:, :1].expand(-1, taken(mask).shape[1])
    return taken(mask)
