"""Log-Euclidean covariance of a window as a target, pooled over the scalp so that montages agree.

Shapes: see ``eegfm.objectives.patches.targets.base``; F frequencies of a band, Z places.
"""

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from eegfm.batch import WindowBatch
from eegfm.errors import ConfigError
from eegfm.normalizations.config import TYPICAL_UV
from eegfm.objectives.patches.targets.base import Asked, Source, Standardised, by_token
from eegfm.objectives.patches.targets.config import LogCovarianceTarget
from eegfm.signal.montages.canonical import canonical_montage

BANDS_HZ = ((1.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 30.0))
PLACES = ("F3", "F4", "T7", "C3", "Cz", "C4", "T8", "P3", "P4", "Oz")
_REACH_RAD = math.radians(20)  # about half the distance of neighbours in the 10-20 system
_FLOOR_UV2_HZ = 1e-4  # as in eegfm.nn.spectrum
_ERROR = 1e-7  # of the logarithm, relative


class LogCovariance(Standardised):
    """Row of each channel in the logarithm of the window's covariance, in four bands, summed around ten places.

    In each band, the covariance of the real channels is shrunk towards a multiple of the identity; its matrix logarithm
    (log-Euclidean metric: Arsigny et al. 2006, doi 10.1002/mrm.20965) has one row for each channel. The columns are
    summed with Gaussian weights of the angle to each place. A channel has the same target at all times of a window.

    Args:
        config: Shrinkage.
        source: Its windows are asked for.

    Raises:
        ConfigError: The rate is too low for the bands, or windows are too short to tell them apart.
    """

    nodes: Tensor
    node_weights: Tensor
    places: Tensor
    floor_uv2: Tensor

    def __init__(self, config: LogCovarianceTarget, source: Source) -> None:
        encoder, spec = source.backbone.encoder, source.backbone.encoder_spec
        super().__init__(source, len(BANDS_HZ) * len(PLACES))
        self.channels_per_token, self.rate_hz, self.shrinkage = (
            encoder.channels_per_token, encoder.rate_hz, config.shrinkage
        )  # fmt: skip
        self.of_uv = 1.0 if source.of == "microvolts" else TYPICAL_UV
        self.frequencies_hz = [sum(band) / 2 for band in BANDS_HZ]
        self.unit = "log10 uV²" if source.of == "microvolts" else "log10 of the normalized signal's variance"
        for montage, n_samples in spec.n_samples.items():
            _check_bands(self.rate_hz, n_samples, montage)
        most = max(montage.n_channels for montage in spec.montages.values())
        lowest, highest = config.shrinkage, most + 1 - config.shrinkage * (most - 1)
        self.centre = math.sqrt(lowest * highest)
        nodes, weights = _quadrature(math.sqrt(highest / lowest))
        self.register_buffer("nodes", nodes, persistent=False)
        self.register_buffer("node_weights", weights, persistent=False)
        self.register_buffer("places", _places(), persistent=False)
        floor_uv2 = torch.tensor([_FLOOR_UV2_HZ * (high - low) for low, high in BANDS_HZ])
        self.register_buffer("floor_uv2", floor_uv2, persistent=False)

    def raw(self, asked: Asked) -> Tensor:
        """(B, N, G, 4 Z) rows; see the base class."""
        with torch.autocast(asked.signal.device.type, enabled=False):
            pooled = self._pooled_logarithm(asked.signal.float() * self.of_uv, asked.windows)
        n_patches = asked.signal.shape[2] // asked.patches.shape[3]
        return by_token(pooled, self.channels_per_token, n_patches)

    def physical(self, outputs: Tensor) -> Tensor | None:
        """Show the mean over the places of each band; see the base class."""
        values = super().physical(outputs)
        assert values is not None
        return values.view(*values.shape[:-1], len(BANDS_HZ), len(PLACES)).mean(dim=-1)

    def _pooled_logarithm(self, signal_uv: Tensor, windows: WindowBatch) -> Tensor:
        """(B, C, 4 Z) pooled rows, in log10."""
        is_there = windows["channel_mask"].to(signal_uv.dtype)
        covariance = self._covariances(signal_uv * is_there.unsqueeze(-1))
        weights = self._weights(windows).unsqueeze(1)
        n = is_there.sum(dim=1).clamp_min(1)[:, None]
        mean_power = covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1) / n + self.floor_uv2
        unit = (1 - self.shrinkage) / mean_power[..., None, None] * covariance
        # Absent channels are alone there, and none of the others: their columns have no weight.
        shrunk = unit + self.shrinkage * torch.eye(unit.shape[-1], dtype=unit.dtype, device=unit.device)
        rows = self._logarithm_times(shrunk, weights) + mean_power.log()[..., None, None] * weights
        rows = rows * is_there[:, None, :, None]
        return rows.transpose(1, 2).flatten(2) / math.log(10)

    def _covariances(self, signal_uv: Tensor) -> Tensor:
        """(B, 4, C, C) covariances in each band, by Parseval's theorem, through a Hann window."""
        T = signal_uv.shape[-1]
        hann = torch.hann_window(T, dtype=signal_uv.dtype, device=signal_uv.device)
        spectrum = torch.fft.rfft((signal_uv - signal_uv.mean(dim=-1, keepdim=True)) * hann)
        scale = 2.0 / (T * hann.square().sum())
        found = []
        for low, high in _bins(self.rate_hz, T):
            real, imaginary = spectrum.real[..., low:high], spectrum.imag[..., low:high]
            found.append(real @ real.transpose(1, 2) + imaginary @ imaginary.transpose(1, 2))
        return torch.stack(found, dim=1) * scale

    def _logarithm_times(self, matrices: Tensor, weights: Tensor) -> Tensor:
        """(B, 4, C, Z) natural logarithm of positive matrices (B, 4, C, C), times (B, 1, C, Z) weights.

        log A is the integral of (A - I) (I + t (A - I))^-1 over t from 0 to 1 (Higham 2008, Functions of Matrices,
        equation 11.1), by Gauss and Legendre: an eigendecomposition would wait for the device.
        """
        scaled = matrices / self.centre
        identity = torch.eye(scaled.shape[-1], dtype=scaled.dtype, device=scaled.device)
        total: Tensor = math.log(self.centre) * weights
        for node, weight in zip(self.nodes.unbind(), self.node_weights.unbind(), strict=True):
            factor, _ = torch.linalg.cholesky_ex((1 - node) * identity + node * scaled)
            solved = torch.cholesky_solve(weights.expand(*scaled.shape[:2], -1, -1), factor)
            total = total + weight / node * (weights - solved)
        return total

    def _weights(self, windows: WindowBatch) -> Tensor:
        """(B, C, Z) weights of the real channels around each place; they add up to the number of channels for a place.

        Elements of the logarithm beside the diagonal shrink as the same scalp gets more channels, so that sums around a
        place agree where means do not.
        """
        positions_m = windows["channel_positions"]
        if "second_positions" in windows:
            positions_m = (positions_m + windows["second_positions"]) / 2
        unit = positions_m / positions_m.norm(dim=-1, keepdim=True).clamp_min(1e-9)
        angles = (unit @ self.places.T).clamp(-1, 1).acos()
        logits = -angles.square() / (2 * _REACH_RAD**2)
        present = windows["channel_mask"].unsqueeze(-1)
        shares = logits.masked_fill(~present, -1e9).softmax(dim=1) * present
        weights: Tensor = shares * (present.sum(dim=1, keepdim=True) / len(PLACES))
        return weights


def _places() -> Tensor:
    """(Z, 3) directions of the places."""
    montage = canonical_montage("1010_64")
    points = montage.positions()[[montage.channel_names.index(name) for name in PLACES]]
    return torch.from_numpy(points / np.linalg.norm(points, axis=1, keepdims=True)).float()


@cache
def _quadrature(ratio: float) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1] for the logarithm of matrices with eigenvalues between 1 / ratio and ratio."""
    root = math.sqrt(max(ratio, 1.1))
    n = math.ceil(math.log(_ERROR) / (2 * math.log((root - 1) / (root + 1))))
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return torch.from_numpy((nodes + 1) / 2).float(), torch.from_numpy(weights / 2).float()


def _bins(rate_hz: float, n_samples: int) -> list[tuple[int, int]]:
    """First bin of each band, and the one behind its last."""
    step_hz = rate_hz / n_samples
    return [(math.ceil(low / step_hz - 1e-9), math.ceil(high / step_hz - 1e-9)) for low, high in BANDS_HZ]


def _check_bands(rate_hz: float, n_samples: int, montage: str) -> None:
    if rate_hz <= 2 * BANDS_HZ[-1][1]:
        raise ConfigError(
            f"objective.target log_covariance has bands up to {BANDS_HZ[-1][1]:g} Hz, and the rate is {rate_hz:g} Hz; "
            "choose another target"
        )
    if any(high - low < 1 for low, high in _bins(rate_hz, n_samples)):
        raise ConfigError(
            f"objective.target log_covariance: windows of montage {montage} last {n_samples / rate_hz:g} s, too short "
            f"to tell the bands {BANDS_HZ} Hz apart; use longer windows (cuts.*.length_s)"
        )
