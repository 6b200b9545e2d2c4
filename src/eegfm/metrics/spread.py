"""Spread of representations: collapse shows here. Gradients are not followed.

Shapes: N windows or tokens, D width.
"""

import math

import torch
from torch import Tensor

from eegfm.nn.full_precision import full_precision
from eegfm.nn.unit_length import unit_length


@torch.no_grad()
@full_precision
def effective_rank(features: Tensor) -> Tensor:
    """Number of dimensions that features vary in: exp of the entropy of the normalized singular values.

    Roy and Vetterli 2007 (EUSIPCO, "The effective rank", definition 1), of features minus their mean. It is 1 where
    they do not vary at all, at most the smaller of N - 1 and D. On a CUDA device torch's singular values wait for the
    device: ask for them where values are logged, not in every step.

    Args:
        features: (..., D); all dimensions but the last are rows.
    """
    rows = features.flatten(0, -2)
    values = torch.linalg.svdvals(rows - rows.mean(dim=0))
    # Of constant features, rounding is left: many small values that would look like a high rank.
    rounding = torch.finfo(rows.dtype).eps * max(rows.shape) * torch.linalg.vector_norm(rows)
    kept = values * (values > rounding)
    share = kept / kept.sum().clamp_min(torch.finfo(rows.dtype).tiny)
    entropy: Tensor = torch.special.entr(share).sum()
    return entropy.exp()


@torch.no_grad()
@full_precision
def mean_sd(values: Tensor) -> Tensor:
    """Standard deviation over rows, mean over dimensions: of features or of targets; 0 where they are constant.

    Args:
        values: (..., D); all dimensions but the last are rows. The variance is biased, so that one row has 0.
    """
    return values.flatten(0, -2).var(dim=0, correction=0).sqrt().mean()


@torch.no_grad()
@full_precision
def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of the two vectors of a pair, scaled to length 1: 0 at best, at most 4.

    Wang and Isola 2020 (arXiv 2005.10242, section 4.1, with alpha 2).

    Args:
        first: (N, D).
        second: (N, D), row i belongs to row i.
    """
    assert first.shape == second.shape, f"{tuple(first.shape)} against {tuple(second.shape)}"
    return (unit_length(first) - unit_length(second)).square().sum(dim=-1).mean()


@torch.no_grad()
@full_precision
def uniformity(features: Tensor) -> Tensor:
    """Log of the mean Gaussian potential between vectors of length 1: 0 where all are the same, lower is better.

    Wang and Isola 2020 (arXiv 2005.10242, section 4.1, with t 2), over all pairs of different rows.

    Args:
        features: (N, D), at least two rows; of one row it is 0.
    """
    vectors, n_rows = unit_length(features), len(features)
    if n_rows < 2:
        return features.new_zeros(())
    # Squared distances of vectors of length 1 from their products; no root is taken.
    squares = 2 - 2 * (vectors @ vectors.T).clamp(-1, 1)
    itself = torch.eye(n_rows, dtype=torch.bool, device=features.device)
    potentials = (-2 * squares).masked_fill(itself, -torch.inf)
    return torch.logsumexp(potentials.flatten(), dim=0) - math.log(n_rows * (n_rows - 1))
