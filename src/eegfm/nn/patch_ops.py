"""Operations on single patches, shared by several published architectures.

Shapes: B windows, F maps, N patches, L steps, S samples of a patch.
"""

import math

import torch
from torch import Tensor, nn


def masked_group_norm(norm: nn.GroupNorm, x: Tensor, mask: Tensor | None) -> Tensor:
    """Group norm of (B, F, N, L) whose statistics leave out the rows N where ``mask`` (B, N) is False."""
    if mask is None:
        normed: Tensor = norm(x)
        return normed
    with torch.autocast(x.device.type, enabled=False):
        B, F, N, L = x.shape
        grouped = x.to(torch.promote_types(x.dtype, torch.float32)).view(B, norm.num_groups, -1, N, L)
        weight = mask[:, None, None, :, None].to(grouped.dtype)
        n = (weight.sum(dim=3, keepdim=True) * (F // norm.num_groups * L)).clamp_min(1)
        mean = (grouped * weight).sum(dim=(2, 3, 4), keepdim=True) / n
        centred = grouped - mean
        variance = (centred.square() * weight).sum(dim=(2, 3, 4), keepdim=True) / n
        scaled = (centred * (variance + norm.eps).rsqrt()).view(B, F, N, L)
        return scaled * norm.weight.view(F, 1, 1) + norm.bias.view(F, 1, 1)


def fourier_matrix(n_samples: int) -> Tensor:
    """(S, 2F) matrix whose product with a real signal is the real, then the imaginary part of its F frequencies.

    A matrix rather than an FFT: a patch is short, and every exported format knows products.
    """
    n, k = torch.arange(n_samples), torch.arange(n_samples // 2 + 1)
    angles = 2 * math.pi / n_samples * (torch.outer(n, k) % n_samples).double()
    return torch.cat((angles.cos(), -angles.sin()), dim=1).masked_fill_(_is_real(n_samples), 0.0).float()


def _is_real(n_samples: int) -> Tensor:
    """(2F,) True for imaginary parts that are zero for every real signal: those of frequency 0 and of half the rate."""
    n_frequencies = n_samples // 2 + 1
    k = torch.arange(2 * n_frequencies) - n_frequencies
    return (k >= 0) & (2 * k % n_samples == 0)
