"""Mask of the windows in a batch of pairs that a loss may push apart."""

import torch
from torch import Tensor

from eegfm.batch import Pairs


def allowed_negatives(pairs: Pairs) -> Tensor:
    """Mark the windows of a batch that are negatives of each other: of one block, not alike, and no pair.

    Args:
        pairs: Groups, places and blocks of B windows, anchors first; of several ranks, put together so that they still
            are. Without blocks the whole batch is one.

    Returns:
        (B, B) bool, symmetric; False for a window with itself and with its partner.
    """
    group, place, n_windows = pairs.group, pairs.place, len(pairs.group)
    is_alike = (group[:, None] == group[None, :]) & ((place[:, None] - place[None, :]).abs() <= pairs.reach)
    half = torch.arange(n_windows, device=group.device) % max(n_windows // 2, 1)
    allowed = ~is_alike & (half[:, None] != half[None, :])
    return allowed if pairs.block is None else allowed & (pairs.block[:, None] == pairs.block[None, :])
