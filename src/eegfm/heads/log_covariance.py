"""Head on the covariance of the tokens of a window.

Shapes: B windows, N tokens, W width of what the covariance is of.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from eegfm.errors import ConfigError
from eegfm.heads.base import Head, HeadSpec, TokenGrid
from eegfm.heads.config import LogCovarianceConfig
from eegfm.nn.full_precision import full_precision

_LEAST_VARIANCE = 1e-6
"""Added to the diagonal: tokens that are all alike have no variance, and zero has no logarithm."""
_NEAR = 0.05
"""Below this relative difference of two eigenvalues, a series is more precise than the quotient."""


class LogCovarianceHead(Head):
    """The covariance over all tokens, its matrix logarithm, and a linear map of the entries.

    Args:
        config: Choices.
        spec: What it is built for.

    Raises:
        ConfigError: A window has one token only.
    """

    def __init__(self, config: LogCovarianceConfig, spec: HeadSpec) -> None:
        super().__init__(config, spec)
        if spec.n_rows == spec.n_patches == 1:
            raise ConfigError(
                "finetune.head.name log_covariance needs several tokens in a window, and this encoder gives one; "
                "choose head linear or mlp, or an encoder of tokens"
            )
        width = min(config.width, spec.d_model)
        self.shrinkage = config.shrinkage
        self.projection = nn.Linear(spec.d_model, width, bias=False) if width < spec.d_model else nn.Identity()
        self.output = nn.Linear(width * (width + 1) // 2, spec.n_logits)

    def logits(self, grid: TokenGrid) -> Tensor:
        """Take the covariance and map its logarithm; see the base class."""
        tokens, mask = grid.tokens
        features = log_covariance(self.projection(tokens), mask, self.shrinkage)
        mapped: Tensor = self.output(features)
        return mapped


@full_precision
def log_covariance(tokens: Tensor, mask: Tensor, shrinkage: float) -> Tensor:
    """(B, W (W + 1) / 2) entries of the logarithm of the shrunk covariance over the tokens that are there.

    Those beside the diagonal are multiplied by sqrt(2), so that the distance of two windows is that of the matrices.

    Args:
        tokens: (B, N, W).
        mask: (B, N) bool, False for tokens that do not count.
        shrinkage: Share of the covariance that is replaced by its mean variance on the diagonal.
    """
    weights = mask.unsqueeze(-1).to(tokens.dtype)
    n_tokens = weights.sum(dim=1, keepdim=True).clamp_min(1)
    centred = (tokens - (tokens * weights).sum(dim=1, keepdim=True) / n_tokens) * weights
    covariance = centred.transpose(1, 2) @ centred / n_tokens
    width = tokens.shape[-1]
    mean_variance = covariance.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None]
    eye = torch.eye(width, dtype=tokens.dtype, device=tokens.device)
    shrunk = (1 - shrinkage) * covariance + (shrinkage * mean_variance + _LEAST_VARIANCE) * eye
    row, column = torch.triu_indices(width, width, device=tokens.device)
    scale = torch.where(row == column, 1.0, 2**0.5).to(tokens.dtype)
    return matrix_log(shrunk)[:, row, column] * scale


def matrix_log(matrices: Tensor) -> Tensor:
    """Logarithm (..., W, W) of symmetric positive definite matrices, with a gradient that is always finite.

    Eigenvalues below 1e-6, which rounding can make, count as 1e-6.
    """
    logarithm: Tensor = _MatrixLog.apply(matrices)  # type: ignore[no-untyped-call]
    return logarithm


class _MatrixLog(torch.autograd.Function):
    """The gradient is that of Daleckii and Krein: divided differences of the logarithm at the eigenvalues.

    That of torch's own decomposition divides by differences of eigenvalues, which may be zero.
    """

    @staticmethod
    def forward(ctx: Any, matrices: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrices)
        values = values.clamp_min(_LEAST_VARIANCE)
        ctx.save_for_backward(values, vectors)
        logarithm: Tensor = (vectors * values.log().unsqueeze(-2)) @ vectors.transpose(-1, -2)
        return logarithm

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        values, vectors = ctx.saved_tensors
        symmetric = (gradient + gradient.transpose(-1, -2)) / 2
        rotated = vectors.transpose(-1, -2) @ symmetric @ vectors * _divided_differences(values)
        found: Tensor = vectors @ rotated @ vectors.transpose(-1, -2)
        return found


def _divided_differences(values: Tensor) -> Tensor:
    """(log a - log b) / (a - b) for all pairs (..., W, W) of positive numbers, 1 / a where they are equal.

    With r = (a - b) / (a + b) it is 2 artanh(r) / (r (a + b)), which has a series near r = 0.
    """
    first, second = values.unsqueeze(-1), values.unsqueeze(-2)
    difference, total = first - second, first + second
    square = (difference / total).square()
    is_near = square < _NEAR**2
    series = 2 / total * (1 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square / 9))))
    return torch.where(is_near, series, (first / second).log() / difference.masked_fill(is_near, 1.0))
