"""Hierarchical contrast of two views of time series.

Shapes: B windows, T steps, D width.
"""

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from eegfm.nn.full_precision import full_precision


@full_precision
def hierarchical_contrast(
    first: Tensor, second: Tensor, temperature: float | Tensor = 1.0, *, shared: Tensor | None = None
) -> Tensor:
    """Contrast steps with other steps and windows with other windows, at several scales of time.

    TS2Vec (Yue et al. 2022, arXiv 2106.10466, section 3.3, eqs. 1 to 3 and algorithm 1): the same step in the other
    view is the positive; other steps of the window are negatives (temporal contrast), and so is the same step of other
    windows (instance-wise contrast). Both are added, then pairs of steps are pooled by their maximum, until one
    step is left. The loss is the mean over the levels. Both views are anchors in turn. An odd last step is not pooled.

    Args:
        first: (B, T, D) vectors of the first view, not scaled to length 1.
        second: (B, T, D) of the same windows and steps in the second view.
        temperature: Divides dot products; 1 in the paper.
        shared: (B, B) bool, True where two windows share samples, each with itself too: no negatives of each other.
            None where no two windows do.
    """
    assert first.shape == second.shape, f"{tuple(first.shape)} against {tuple(second.shape)}"
    views = torch.stack([first, second])
    levels = []
    while True:
        levels.append(_contrast(views.transpose(1, 2), temperature, shared) + _contrast(views, temperature))
        if views.shape[2] == 1:
            return torch.stack(levels).mean()
        n_even = views.shape[2] // 2 * 2
        views = torch.maximum(views[:, :, :n_even:2], views[:, :, 1:n_even:2])


def _contrast(views: Tensor, temperature: float | Tensor, shared: Tensor | None = None) -> Tensor:
    """Mean over (2, G, M, D) of telling each of M vectors of a group from the others of both views.

    Those that are shared are left out, but for the positive.
    """
    n_members = views.shape[2]
    vectors = torch.cat([views[0], views[1]], dim=1)
    similarity = vectors @ vectors.transpose(1, 2) / temperature
    anchors = torch.arange(2 * n_members, device=views.device)
    left_out = anchors[:, None] == anchors[None, :]
    if shared is not None:
        left_out = left_out | (shared.repeat(2, 2) & (anchors[:, None] % n_members != anchors[None, :] % n_members))
    log_share = log_softmax(similarity.masked_fill(left_out, -torch.inf), dim=-1)
    return -log_share[:, anchors, anchors.roll(n_members)].mean()
