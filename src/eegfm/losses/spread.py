"""Losses that keep embeddings spread out: what prevents collapse where there are no negatives.

Shapes: N windows or tokens, D width, S directions.
"""

import torch
from torch import Tensor
from torch.nn.functional import relu

from eegfm.nn.full_precision import full_precision

_LIMIT, _N_POINTS = 5.0, 17


@full_precision
def variance_loss(embeddings: Tensor, target_sd: float = 1.0) -> Tensor:
    """Ask for a standard deviation of at least ``target_sd`` in each dimension.

    VICReg (Bardes et al. 2022, arXiv 2105.04906, section 4.1, eqs. 1 and 2, with epsilon 1e-4).

    Args:
        embeddings: (..., D); all dimensions but the last are rows.
        target_sd: Where the hinge ends.
    """
    rows = embeddings.flatten(0, -2)
    variance = (rows - rows.mean(dim=0)).square().sum(dim=0) / max(len(rows) - 1, 1)
    return relu(target_sd - (variance + 1e-4).sqrt()).mean()


@full_precision
def covariance_loss(embeddings: Tensor) -> Tensor:
    """Ask that different dimensions do not vary together.

    VICReg (arXiv 2105.04906, section 4.1, eqs. 3 and 4): the squares of covariances between different dimensions,
    summed and divided by D.

    Args:
        embeddings: (..., D); all dimensions but the last are rows.
    """
    rows = embeddings.flatten(0, -2)
    centred = rows - rows.mean(dim=0)
    squares = (centred.T @ centred / max(len(rows) - 1, 1)).square()
    return (squares.sum() - squares.diagonal().sum()) / rows.shape[1]


@full_precision
def sketched_gaussian_loss(embeddings: Tensor, directions: Tensor) -> Tensor:
    """Compare the distribution of embeddings with the standard normal one, along random directions.

    SIGReg of LeJEPA (Balestriero and LeCun 2025, arXiv 2511.08544, algorithm 1), over N. For a direction it is the
    integral over t of ``|ecf(t) - exp(-t²/2)|² exp(-t²/2)``, where ``ecf`` is the empirical characteristic function of
    the projections. The integral goes from -5 to 5, by 17 trapezoid points. The loss is the mean over directions. The
    published statistic is N times as large, as the test of Epps and Pulley wants it. That factor is left out: with it,
    the same vectors would weigh more against a prediction in a larger batch.

    Args:
        embeddings: (..., D); all dimensions but the last are rows. Their mean and scale count.
        directions: (D, S) of any length; new random ones in each step.
    """
    rows = embeddings.flatten(0, -2)
    assert directions.shape[0] == rows.shape[1], (
        f"directions of shape {tuple(directions.shape)}, rows of {rows.shape[1]}"
    )
    directions = directions.to(rows.dtype)
    projected = rows @ (directions * directions.square().sum(dim=0).clamp_min(1e-12).rsqrt())
    # The integrand is even: points below 0 add the same as those above.
    points = torch.linspace(0.0, _LIMIT, _N_POINTS // 2 + 1, dtype=rows.dtype, device=rows.device)
    normal = torch.exp(-points.square() / 2)
    angles = projected.unsqueeze(-1) * points
    distance = (angles.cos().mean(dim=0) - normal).square() + angles.sin().mean(dim=0).square()
    return 2 * torch.trapezoid(distance * normal, points, dim=-1).mean()
