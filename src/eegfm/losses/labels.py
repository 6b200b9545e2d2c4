"""Losses of heads that predict labels, of which some are unknown.

Shapes: B windows, K outputs or classes.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from eegfm.losses.pointwise import PointwiseKind, distances
from eegfm.nn.full_precision import full_precision


class LabelLoss(NamedTuple):
    """Result of a loss over labels.

    Args:
        loss: Mean over the labels that are known; zero, with a gradient of zero, where none is.
        n_known: Number of labels that are known.
    """

    loss: Tensor
    n_known: Tensor


@full_precision
def regression_loss(prediction: Tensor, target: Tensor, kind: PointwiseKind = "l2", *, beta: float = 1.0) -> LabelLoss:
    """Distance between predictions and known values.

    Args:
        prediction: (B,) or (B, K).
        target: Of exactly the same shape: (B, 1) against (B,) would compare every window with every other. NaN for
            unknown.
        kind: See ``eegfm.losses.pointwise.distances``.
        beta: See there.
    """
    assert prediction.shape == target.shape, f"{tuple(prediction.shape)} against {tuple(target.shape)}"
    is_known = ~target.isnan()
    # Distances to NaN would be NaN in the gradient, however they are masked later.
    values = distances(kind, prediction, torch.where(is_known, target, torch.zeros_like(target)), beta=beta)
    n_known = is_known.sum()
    return LabelLoss(values.masked_fill(~is_known, 0.0).sum() / n_known.clamp_min(1), n_known)


@full_precision
def classification_loss(logits: Tensor, target: Tensor) -> LabelLoss:
    """Cross-entropy of known classes.

    Args:
        logits: (B, K).
        target: (B,) int64 classes, -1 for unknown.
    """
    assert logits.ndim == 2, f"logits of shape {tuple(logits.shape)}"
    assert target.shape == logits.shape[:1], f"target {tuple(target.shape)} of logits {tuple(logits.shape)}"
    assert not target.is_floating_point(), f"classes are whole numbers, not {target.dtype}"
    n_known = (target >= 0).sum()
    total = cross_entropy(logits, target, ignore_index=-1, reduction="sum")
    return LabelLoss(total / n_known.clamp_min(1), n_known)
