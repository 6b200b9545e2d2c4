"""Patch, spectrum and electrode embeddings of LUNA (arXiv 2510.22257, section 3).

Shapes: B windows, C channels, P patches per channel, N = C * P tokens, S samples of a patch, E width of a token.
"""

import math

import torch
from torch import Tensor, nn

from eegfm.encoders.conv_patches import ConvPatches
from eegfm.encoders.luna.layers import FeedForward
from eegfm.encoders.traits import PatchNorm
from eegfm.nn.patch_ops import fourier_matrix

_N_GROUPS = 4
_LEAST_MAGNITUDE = 1e-4  # of a Fourier coefficient; a constant patch leaves rounding errors below it
_TINY_M = 1e-8  # keeps an axis along which all electrodes sit at the same place finite


def patch_convolutions(patch_samples: int, d_token: int, norm_over: PatchNorm) -> ConvPatches:
    """Three convolutions along each patch: four steps of E / 4 maps.

    Args:
        patch_samples: Samples S, a multiple of 4.
        d_token: Width E, a multiple of 16.
        norm_over: Extent of the group norms; as published, the window.
    """
    stride = patch_samples // 4
    return ConvPatches(
        n_maps=d_token // 4, kernel=2 * stride - 1, stride=stride, n_groups=_N_GROUPS, norm_over=norm_over
    )


class PatchSpectrum(nn.Module):
    """Magnitude and phase of each patch's Fourier transform, through a small network.

    Args:
        patch_samples: Samples S.
        d_token: Width E.
    """

    fourier: Tensor

    def __init__(self, patch_samples: int, d_token: int) -> None:
        super().__init__()
        self.register_buffer("fourier", fourier_matrix(patch_samples), persistent=False)
        n_features = self.fourier.shape[1]
        self.network = FeedForward(n_features, 4 * n_features, d_token)

    def forward(self, patches: Tensor) -> Tensor:
        """(B, N, S) patches to (B, N, E)."""
        # A phase means nothing in bfloat16.
        with torch.autocast(patches.device.type, enabled=False):
            features = magnitude_and_phase(patches @ self.fourier)
        embedded: Tensor = self.network(features)
        return embedded


def magnitude_and_phase(coefficients: Tensor) -> Tensor:
    """Magnitudes, then phases in radians, of (..., 2F) real and imaginary parts.

    Both are zero, with zero gradient, where the magnitude is too small to have a phase.
    """
    real, imaginary = coefficients.chunk(2, dim=-1)
    is_small = real.square() + imaginary.square() < _LEAST_MAGNITUDE**2
    imaginary, real = imaginary.masked_fill(is_small, 0.0), real.masked_fill(is_small, 1.0)
    magnitude = (real.square() + imaginary.square()).sqrt().masked_fill(is_small, 0.0)
    # The phase of a negative number is pi; for an imaginary part of -0, and in ONNX for 0, atan2 says -pi.
    phase = torch.where(imaginary == 0, math.pi * (real < 0), torch.atan2(imaginary, real))
    return torch.cat((magnitude, phase), dim=-1)


class PlaceEmbedding(nn.Module):
    """Place of an electrode within its montage as a vector.

    Args:
        d_token: Width E.
        jitter: Standard deviation of noise on places while training, in units of the montage's extent.
    """

    def __init__(self, d_token: int, jitter: float) -> None:
        super().__init__()
        self.d_token = d_token
        self.jitter = jitter
        self.network = FeedForward(d_token, 2 * d_token, d_token, with_norm=True)

    def forward(self, positions_m: Tensor, mask: Tensor | None) -> Tensor:
        """(B, C, 3) metres to (B, C, E); ``mask`` (B, C) is False for channels that are only padding."""
        with torch.autocast(positions_m.device.type, enabled=False):
            places = places_in_montage(positions_m, mask)
            if self.training and self.jitter:
                places = places + self.jitter * torch.randn_like(places)
            features = place_features(places, self.d_token)
        embedded: Tensor = self.network(features)
        return embedded


def places_in_montage(positions_m: Tensor, mask: Tensor | None) -> Tensor:
    """Scale (B, C, 3) positions so that each axis runs from 0 to 1 over the real channels of each window."""
    if mask is None:
        low, high = positions_m.amin(dim=1, keepdim=True), positions_m.amax(dim=1, keepdim=True)
        return (positions_m - low) / (high - low + _TINY_M)
    is_padding = ~mask.unsqueeze(-1)
    low = positions_m.masked_fill(is_padding, math.inf).amin(dim=1, keepdim=True)
    high = positions_m.masked_fill(is_padding, -math.inf).amax(dim=1, keepdim=True)
    return ((positions_m - low) / (high - low + _TINY_M)).masked_fill(is_padding, 0.0)


def place_features(places: Tensor, n_features: int) -> Tensor:
    """Sines and cosines of (B, C, 3) coordinates at 1, 2, 4, ... radians per unit, as in NeRF (arXiv 2003.08934).

    Returns:
        (B, C, n_features): for each frequency, for each axis, sine and cosine; zeros where none is left.
    """
    n_frequencies = n_features // 6
    radians = 2.0 ** torch.arange(n_frequencies, device=places.device)
    phases = places.unsqueeze(2) * radians[:, None]  # (B, C, frequencies, 3)
    features = torch.stack((phases.sin(), phases.cos()), dim=-1).flatten(2)
    return nn.functional.pad(features, (0, n_features - 6 * n_frequencies))
