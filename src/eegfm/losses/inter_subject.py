"""Correlation between persons who see the same movie.

Shapes: M moments, D width.
"""

import torch
from torch import Tensor

from eegfm.nn.full_precision import full_precision

_LEAST_VARIANCE = 1e-6


@full_precision
def inter_subject_correlation(first: Tensor, second: Tensor, *, decorrelation: float = 0.005) -> Tensor:
    """Correlate each feature over the moments of a movie between two persons, and different features not at all.

    Inter-subject correlation (Hasson et al. 2004, doi 10.1126/science.1089506), here of learned features instead of
    signals. Correlation alone would let all features be the same one; the second term of Barlow Twins (Zbontar et al.
    2021, arXiv 2103.03230, eq. 1) keeps them apart. With C the matrix of correlations over moments, the loss is the
    mean over features of ``(1 - C_dd)² + decorrelation * sum of C_de² over e ≠ d``.

    The loss is 0 at best, and never below. A feature that is the same for all moments correlates with nothing, so that
    constant embeddings have the loss 1. Persons can be exchanged.

    Args:
        first: (M, D) embeddings of M moments as the first persons saw them.
        second: (M, D) of the same moments, seen by the second persons.
        decorrelation: Weight of correlations between different features; the default is that of the paper.
    """
    assert first.shape == second.shape, f"{tuple(first.shape)} against {tuple(second.shape)}"
    n_moments, width = first.shape
    correlation = _standardised(first).T @ _standardised(second) / n_moments
    squares = correlation.square()
    off_diagonal = squares.sum() - squares.diagonal().sum()
    return ((1 - correlation.diagonal()).square().sum() + decorrelation * off_diagonal) / width


def _standardised(features: Tensor) -> Tensor:
    # The floor makes features that hardly vary correlate with nothing, and keeps the gradient of constant ones finite.
    variance, mean = torch.var_mean(features, dim=0, keepdim=True, correction=0)
    return (features - mean) * (variance + _LEAST_VARIANCE).rsqrt()
