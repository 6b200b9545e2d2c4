"""Likeness of the representations of one moment in two persons. Gradients are not followed.

Shapes: N pairs (moments), D width.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from eegfm.nn.full_precision import full_precision
from eegfm.nn.unit_length import unit_length

_ROUNDING = 1e-6
"""Relative difference that counts as none."""


class Hits(NamedTuple):
    """Searches for the partners of N queries.

    Args:
        found: (N,) probability that the partner is nearer than all others, 0 where a query does not count.
        counts: (N,) bool, whether a query has enough others to be told from.
    """

    found: Tensor
    counts: Tensor


@torch.no_grad()
@full_precision
def movie_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Inter-subject correlation of features: Pearson's over moments, mean over dimensions.

    Inter-subject correlation of Hasson et al. 2004 (doi 10.1126/science.1089506), of features. A dimension that is
    constant in one of the two counts as 0.

    Args:
        first: (N, D) features of N moments in the first persons.
        second: (N, D) features of the same moments in the second persons.
    """
    assert first.shape == second.shape, f"{tuple(first.shape)} against {tuple(second.shape)}"
    return (_standardised(first) * _standardised(second)).mean(dim=0).mean()


@torch.no_grad()
@full_precision
def retrieval_hits(queries: Tensor, candidates: Tensor, n_candidates: int, *, allowed: Tensor | None = None) -> Hits:
    """Probability that each query finds its partner among K candidates, by cosine similarity.

    It is over all choices of K - 1 others for each query, without drawing any: with r of M others at least as near as
    the partner, none of them is chosen with probability C(M - r, K - 1) / C(M, K - 1). By chance it is 1 / K on
    average. Ties, up to rounding, are lost, so that constant features find nothing.

    Args:
        queries: (N, D).
        candidates: (N, D), row i is the partner of query i.
        n_candidates: K, the partner included, at least 2.
        allowed: (N, N) bool, True where candidate j may be an other of query i; all by default. The partner never is.
            Queries with fewer than K - 1 others do not count.
    """
    assert queries.shape == candidates.shape, f"{tuple(queries.shape)} against {tuple(candidates.shape)}"
    assert n_candidates > 1, f"{n_candidates} candidates leave nothing to choose from"
    similarity = unit_length(queries) @ unit_length(candidates).T
    is_other = ~torch.eye(len(queries), dtype=torch.bool, device=queries.device)
    is_other = is_other if allowed is None else is_other & allowed
    n_others = is_other.sum(dim=1, keepdim=True)
    n_nearer = (is_other & (similarity >= similarity.diagonal()[:, None] - _ROUNDING)).sum(dim=1, keepdim=True)
    drawn = torch.arange(n_candidates - 1, device=queries.device)
    left = (n_others - drawn).clamp_min(1)
    found = ((n_others - n_nearer - drawn).clamp_min(0) / left).prod(dim=1)
    counts = n_others[:, 0] >= n_candidates - 1
    return Hits(found.masked_fill(~counts, 0.0), counts)


def _standardised(features: Tensor) -> Tensor:
    """Zero where a dimension is constant up to rounding."""
    variance, mean = torch.var_mean(features, dim=0, correction=0)
    varies = variance > (_ROUNDING * mean).square()
    return (features - mean) * torch.where(varies, variance, torch.inf).rsqrt()
