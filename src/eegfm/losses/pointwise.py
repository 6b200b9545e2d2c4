"""Distances between predictions and targets, reduced by masks.

Shapes: B windows, K values of one item (patch, token, step).
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss, smooth_l1_loss

from eegfm.nn.full_precision import full_precision
from eegfm.nn.unit_length import unit_length

PointwiseKind = Literal["l1", "l2", "smooth_l1"]
"""Absolute difference, squared difference, or the square below ``beta`` and the absolute difference above."""


@full_precision
def distances(kind: PointwiseKind, prediction: Tensor, target: Tensor, *, beta: float = 1.0) -> Tensor:
    """Distance of each value, unreduced.

    Args:
        kind: Which one.
        prediction: Of any shape.
        target: Of the same shape.
        beta: Of ``smooth_l1`` (Girshick 2015, arXiv 1504.08083, eq. 3, which has 1), divided by so that it is a half
            at the seam.
    """
    return _distances(kind, prediction, target, beta, "none")


def _distances(kind: PointwiseKind, prediction: Tensor, target: Tensor, beta: float, reduction: str) -> Tensor:
    assert prediction.shape == target.shape, f"{tuple(prediction.shape)} against {tuple(target.shape)}"
    if kind == "l1":
        return l1_loss(prediction, target, reduction=reduction)
    if kind == "l2":
        return mse_loss(prediction, target, reduction=reduction)
    return smooth_l1_loss(prediction, target, reduction=reduction, beta=beta)


@full_precision
def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the windows of the mean over what counts in each.

    Args:
        values: (B, ...).
        mask: Bool of the same shape, True for what counts; everything by default. A window in which nothing counts
            contributes nothing; where nothing counts in any, the result is zero, with a gradient of zero.
    """
    if mask is None:
        return values.mean()
    assert mask.shape == values.shape, f"mask {tuple(mask.shape)} of values {tuple(values.shape)}"
    kept, counts = values.masked_fill(~mask, 0.0).flatten(1), mask.flatten(1).sum(dim=1)
    by_window = kept.sum(dim=1) / counts.clamp_min(1)
    return by_window.sum() / (counts > 0).sum().clamp_min(1)


@full_precision
def pointwise_loss(
    kind: PointwiseKind, prediction: Tensor, target: Tensor, mask: Tensor | None = None, *, beta: float = 1.0
) -> Tensor:
    """Mean distance between predictions and targets of the items that count.

    Args:
        kind: See ``distances``.
        prediction: (B, ..., K).
        target: Of the same shape. What it holds where the mask is False is arbitrary.
        mask: (B, ...) bool, see ``masked_mean``.
        beta: See ``distances``.
    """
    if mask is None:  # torch's own mean: one pass, forwards and backwards
        return _distances(kind, prediction, target, beta, "mean")
    values = distances(kind, prediction, _where_asked(target, mask), beta=beta)
    return masked_mean(values, mask.unsqueeze(-1).expand_as(values))


@full_precision
def negative_cosine(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Negative cosine similarity: -1 at best, 1 at worst, 0 for a vector of zeros.

    As SimSiam has it (Chen and He 2021, arXiv 2011.10566, eq. 1). The caller detaches the target.

    Args:
        prediction: (B, ..., K).
        target: Of the same shape. What it holds where the mask is False is arbitrary.
        mask: (B, ...) bool, see ``masked_mean``.
    """
    assert prediction.shape == target.shape, f"{tuple(prediction.shape)} against {tuple(target.shape)}"
    return masked_mean(-(unit_length(prediction) * unit_length(_where_asked(target, mask))).sum(dim=-1), mask)


def _where_asked(target: Tensor, mask: Tensor | None) -> Tensor:
    # A NaN that a mask leaves out of a sum would still be one in the gradient.
    return target if mask is None else torch.where(mask.unsqueeze(-1), target, torch.zeros_like(target))
