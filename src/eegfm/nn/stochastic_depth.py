"""Stochastic depth (Huang et al. 2016, arXiv 1603.09382)."""

import torch
from torch import Tensor


def drop_windows(x: Tensor, ratio: float, *, training: bool) -> Tensor:
    """While training, set a share of the windows of (B, ...) to zero, and scale the others up to the same mean."""
    if not training or not ratio:
        return x
    kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= ratio
    return x * (kept.to(x.dtype) / (1 - ratio))
