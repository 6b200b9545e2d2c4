"""Measures of what representations tell of groups, persons above all. Gradients are not followed.

Shapes: N windows, D width.
"""

import torch
from torch import Tensor

from eegfm.nn.full_precision import full_precision


@torch.no_grad()
@full_precision
def between_share(features: Tensor, group: Tensor, *, corrected: bool = False) -> Tensor:
    """Share of the variance of features that lies between groups, over all dimensions together.

    The ratio of sums of squares of a one-way analysis of variance (Fisher's eta squared): with few windows per group it
    is high by chance. The correction estimates components of variance instead, for groups of unequal sizes (Donner and
    Koval 1980, doi 10.2307/2530491: the intraclass correlation from an analysis of variance); without any difference
    between groups it is 0 on average, and can be negative.

    Args:
        features: (N, D).
        group: (N,) int64 numbers of groups, such as persons; windows of a negative number count nowhere.
        corrected: Whether sizes of groups are corrected for.

    Returns:
        A scalar. It is 0 where features do not vary, and of no meaning with one group, or one window for each.
    """
    assert group.shape == features.shape[:1], f"groups {tuple(group.shape)} of features {tuple(features.shape)}"
    counts = (group >= 0).to(features.dtype)
    # Sums over pairs of rows: neither the number of groups nor their numbers need to be known here.
    same = (group[:, None] == group[None, :]).to(features.dtype) * counts[:, None] * counts[None, :]
    size = same.sum(dim=1)
    n_rows, n_groups = counts.sum(), (counts / size.clamp_min(1)).sum()
    centred = features - (features * counts[:, None]).sum(dim=0) / n_rows.clamp_min(1)
    means = same @ centred / size.clamp_min(1)[:, None]
    between = (means.square() * counts[:, None]).sum()
    within = ((centred - means).square() * counts[:, None]).sum()
    if corrected:
        mean_size = (n_rows - (size * counts).sum() / n_rows.clamp_min(1)) / (n_groups - 1).clamp_min(1)
        within = within / (n_rows - n_groups).clamp_min(1)
        between = (between / (n_groups - 1).clamp_min(1) - within) / mean_size.clamp_min(1)
    total = between + within
    # Of constant features, rounding is left.
    varies = total > (1e-6**2) * features.square().sum()
    return torch.where(varies, between, 0.0) / torch.where(varies, total, 1.0)
