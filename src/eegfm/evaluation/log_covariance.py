"""Logarithm of the covariance of channels, band by band: a control that knows how channels vary together.

Shapes: B windows, C channels, S sites, T samples, N bands, X = N * C * (C + 1) / 2 features.
"""

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.band_power import BANDS_HZ, FLOOR_UV2, SEGMENT_S, refuse_unresolved
from eegfm.evaluation.linear import Floats
from eegfm.signal.montages.canonical import canonical_montage

Known = NDArray[np.bool_]

BANDS = ("delta", "theta", "alpha", "beta")
"""The four bands that did best on real recordings; gamma is mostly muscle."""
SITES = (("F3",), ("Fz",), ("F4",), ("T7",), ("Cz",), ("T8",), ("P3",), ("Pz",), ("P4",), ("O1", "O2"))
"""Ten places whose neighbourhoods stand for the head: electrodes, and the middle between two."""
SHRINKAGE = 0.1
_SITE_SD_M = 0.03  # about the distance of neighbours in the 10-20 system
_REACH_M = 2 * _SITE_SD_M
_BLOCK = 64  # windows whose spectra are held at once


def log_covariance(
    signal_uv: NDArray[np.floating], rate_hz: float, is_known: Known
) -> tuple[NDArray[np.float32], Known]:
    """Take the matrix logarithm of the covariance of channels in each of four bands (log-Euclidean).

    The covariance is the real part of the cross-spectra (Hann segments of 1 s, half overlapping), summed over the band:
    its diagonal is the band's power. It is shrunk by a tenth towards the mean of its diagonal, since the average
    reference leaves it singular. Distances of upper triangles, with off-diagonals times the root of 2, are those of the
    matrices.

    Source: Arsigny et al. 2006, Log-Euclidean metrics for fast and simple calculus on diffusion tensors; Barachant et
    al. 2012, Multiclass brain-computer interface classification by Riemannian geometry, section III.

    Args:
        signal_uv: (B, C, T) microvolts.
        rate_hz: Sampling rate.
        is_known: (B, C) False for a channel that is padding or bad.

    Returns:
        (B, X) features, band by band, and (B, X) whether both channels of a feature are known.

    Raises:
        ConfigError: See ``log_band_power``.
    """
    refuse_unresolved(signal_uv.shape[-1], rate_hz)
    rows, columns = np.triu_indices(signal_uv.shape[1])
    values = np.zeros((len(signal_uv), len(BANDS), len(rows)), dtype=np.float32)
    patterns, pattern_of = np.unique(is_known, axis=0, return_inverse=True)
    for number, channels in enumerate(patterns):
        windows = np.flatnonzero(pattern_of.reshape(-1) == number)
        pairs = np.flatnonzero(channels[rows] & channels[columns])
        for first in range(0, len(windows) if channels.any() else 0, _BLOCK):
            block = windows[first : first + _BLOCK]
            found = _upper(_logarithm(_covariances(signal_uv[np.ix_(block, channels)], rate_hz)))
            values[np.ix_(block, np.arange(len(BANDS)), pairs)] = found
    known = np.tile(is_known[:, rows] & is_known[:, columns], (1, len(BANDS)))
    return values.reshape(len(values), -1), known


def pooled_to_sites(
    signal_uv: NDArray[np.floating], positions_m: NDArray[np.floating], is_known: Known
) -> tuple[Floats, Known]:
    """Average the channels around each of ten sites, those nearby counting most.

    Montages of any number of channels get the same sites.

    Args:
        signal_uv: (B, C, T) microvolts.
        positions_m: (B, C, 3) head frame; the middle of the two electrodes of a derivation.
        is_known: (B, C) False for a channel that is padding or bad.

    Returns:
        (B, S, T) signals, and (B, S) False for a site without a known channel nearby.
    """
    montage = canonical_montage("1020_19")
    position_of = dict(zip(montage.channel_names, montage.positions(), strict=True))
    places = np.asarray([np.mean([position_of[name] for name in names], axis=0) for names in SITES])
    distances_m = np.linalg.norm(positions_m[:, None] - places[:, None], axis=-1)  # (B, S, C)
    is_near = is_known[:, None] & (distances_m < _REACH_M)
    # Beyond the reach, weights are zero and not small: whether a site is known shall not hang on channels far away.
    weights = np.where(is_near, np.exp(-0.5 * (np.nan_to_num(distances_m) / _SITE_SD_M) ** 2), 0.0)
    weights /= np.maximum(weights.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    return weights @ np.where(is_known[..., None], signal_uv, 0.0), is_near.any(axis=-1)


def _covariances(signal_uv: NDArray[np.floating], rate_hz: float) -> Floats:
    """(B, N, C, C) square microvolts."""
    n_segment = round(SEGMENT_S * rate_hz)
    segments = np.lib.stride_tricks.sliding_window_view(signal_uv, n_segment, axis=-1)[
        ..., :: n_segment - n_segment // 2, :
    ]
    segments = segments - segments.mean(axis=-1, keepdims=True, dtype=np.float64)
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_segment) / n_segment)
    spectra = np.fft.rfft(segments * taper, axis=-1)  # (B, C, segments, frequencies)
    frequencies_hz = np.fft.rfftfreq(n_segment, 1 / rate_hz)
    scale = 2 / (taper @ taper) / n_segment / segments.shape[-2]
    found = []
    for band in BANDS:
        low_hz, high_hz = BANDS_HZ[band]
        of_band = spectra[..., (frequencies_hz >= low_hz) & (frequencies_hz < high_hz)].reshape(*spectra.shape[:2], -1)
        parts = np.concatenate([of_band.real, of_band.imag], axis=-1)
        found.append(scale * parts @ parts.swapaxes(-1, -2))
    return np.stack(found, axis=1)


def _logarithm(covariances: Floats) -> Floats:
    """Matrix logarithm of the shrunk covariances, (..., C, C)."""
    n_channels = covariances.shape[-1]
    level = np.trace(covariances, axis1=-2, axis2=-1)[..., None, None] / n_channels + FLOOR_UV2
    values, vectors = np.linalg.eigh((1 - SHRINKAGE) * covariances + SHRINKAGE * level * np.eye(n_channels))
    return np.asarray((vectors * np.log(values)[..., None, :]) @ vectors.swapaxes(-1, -2))


def _upper(matrices: Floats) -> Floats:
    """(..., C * (C + 1) / 2) upper triangles, off-diagonals times the root of 2."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    return np.asarray(matrices[..., rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2)))
