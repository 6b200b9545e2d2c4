"""Mask of windows in a batch of pairs that no loss may push apart."""

import torch
from torch import Tensor

from eegfm.batch import Pairs


def false_negative_mask(pairs: Pairs) -> Tensor:
    """Mark windows of a batch that are alike though they are no pair.

    Args:
        pairs: Groups and places of B windows, anchors first; of several ranks, put together so that they still are.

    Returns:
        (B, B) bool, symmetric; False for a window with itself and with its partner.
    """
    group, place, n_windows = pairs.group, pairs.place, len(pairs.group)
    is_alike = (group[:, None] == group[None, :]) & ((place[:, None] - place[None, :]).abs() <= pairs.reach)
    half = torch.arange(n_windows, device=group.device) % max(n_windows // 2, 1)
    return is_alike & (half[:, None] != half[None, :])
