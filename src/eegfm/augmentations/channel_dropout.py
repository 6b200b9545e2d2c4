"""Random absence of channels."""

import numpy as np
import torch

from eegfm.augmentations.base import Augmentation
from eegfm.augmentations.config import ChannelDropoutConfig
from eegfm.batch import SignalSpec, WindowBatch, channel_padding
from eegfm.nn.context import WindowDraws
from eegfm.nn.device import sent


class ChannelDropout(Augmentation):
    """Each present channel of a window becomes absent with the same probability; its signal becomes zero.

    Of the channels of a window, the one with the highest draw stays: no window is left without a channel.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: ChannelDropoutConfig, spec: SignalSpec) -> None:
        super().__init__(config, spec)
        self.config: ChannelDropoutConfig = config

    def forward(self, batch: WindowBatch, draws: WindowDraws) -> WindowBatch:
        """Take channels away; see the base class."""
        signal, known = batch["signal"], channel_padding(batch)
        draw = draws.uniform(signal.shape[1]).numpy()
        is_present = np.ones_like(draw, dtype=np.bool_) if known is None else np.broadcast_to(known, draw.shape)
        ranked = np.where(is_present, draw, -1.0)
        is_left = is_present & ((ranked >= self.config.ratio) | (ranked == ranked.max(axis=1, keepdims=True)))
        mask = sent(torch.from_numpy(is_left), signal.device)
        left = signal.masked_fill(~mask.unsqueeze(-1), 0.0)
        return {**batch, "signal": left, "channel_mask": mask, "known_mask": is_left}
