"""Masks of the windows in a batch that a loss may pull together or push apart.

Shapes: B windows.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from eegfm.batch import Pairs


class Compared(NamedTuple):
    """Windows that each anchor is compared with.

    Args:
        positives: (B, B) bool, True in row i where window j is a positive of anchor i.
        negatives: (B, B) bool, True where it is a negative; no window is both.
    """

    positives: Tensor
    negatives: Tensor


def by_partner(pairs: Pairs) -> Compared:
    """Take the other window of the pair for the only positive."""
    return Compared(_partners(pairs), allowed_negatives(pairs))


def by_class(pairs: Pairs, labels: Tensor, shared: Tensor | None) -> Compared:
    """Take windows of the same class for positives, and those of other classes for negatives.

    Both are of one block, where there are blocks. Windows that share samples are neither, but the two of a pair are.
    A negative must be one by the pairing, too. Windows of unknown class are nothing.

    Args:
        pairs: See ``allowed_negatives``.
        labels: (B,) int64 classes, -1 for unknown.
        shared: (B, B) see ``sharing_samples``; None where no two windows share samples.
    """
    is_known = (labels >= 0)[:, None] & (labels >= 0)[None, :]
    is_same = labels[:, None] == labels[None, :]
    partners = _partners(pairs)
    # A window always shares samples with itself.
    apart = ~(torch.eye(len(labels), dtype=torch.bool, device=labels.device) if shared is None else shared)
    in_block = apart if pairs.block is None else apart & (pairs.block[:, None] == pairs.block[None, :])
    return Compared(is_known & is_same & (partners | in_block), is_known & ~is_same & apart & allowed_negatives(pairs))


def sharing_samples(first_row: Tensor, n_samples: int) -> Tensor:
    """Mark the windows of one store that share samples, each with itself too.

    Args:
        first_row: (B,) int64 row of the store where each window begins; recordings lie there one behind the other.
        n_samples: Samples of a window.

    Returns:
        (B, B) bool, symmetric.
    """
    return (first_row[:, None] - first_row[None, :]).abs() < n_samples


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


def _partners(pairs: Pairs) -> Tensor:
    """(B, B) whether two windows are a pair."""
    n_windows = len(pairs.group)
    place = torch.arange(n_windows, device=pairs.group.device)
    return (place[:, None] - place[None, :]).abs() == n_windows // 2
