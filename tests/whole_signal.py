"""The signal path over a whole signal at once, in double precision, as reference for processing in blocks."""

from functools import cache

import mne
import numpy as np
from scipy import signal

EXTENSION_S = 10.0


@cache
def fir_kernels(rate_hz, params):
    """MNE's kernels for the band and for the line with its harmonics; to design them takes longer than to use them."""
    width_hz = min(max(0.25 * params.high_hz, 2.0), min(rate_hz, params.rate_hz) / 2 - params.high_hz)
    kernels = [
        mne.filter.create_filter(
            None, rate_hz, params.low_hz, params.high_hz, h_trans_bandwidth=width_hz, verbose="error"
        )
    ]
    if params.notch_hz:
        stop_hz = params.high_hz + width_hz
        f = params.notch_hz * np.arange(1, int(stop_hz / params.notch_hz) + 1)
        f = f[f - f / 400 - 1 < stop_hz]
        if f.size:
            edges = {"l_freq": f + f / 400 + 0.5, "h_freq": f - f / 400 - 0.5}
            widths = {"l_trans_bandwidth": 0.5, "h_trans_bandwidth": 0.5}
            kernels.append(mne.filter.create_filter(None, rate_hz, **edges, **widths, verbose="error"))
    return kernels


def whole_signal(x, rate_hz, params):
    """Filter (C, T) and take its band-limited values at k / ``params.rate_hz``: (C, T_out) float64.

    The signal is continued by odd reflection about its ends; where it is shorter than the kernels, by its last value
    beyond that. One convolution per kernel, one Fourier transform, and a chirp transform to any rate.
    """
    n = x.shape[1]
    y = x - x[:, :1]
    kernels = fir_kernels(rate_hz, params)
    pad = round(EXTENSION_S * rate_hz) + sum(kernel.size for kernel in kernels)
    left = 2 * y[:, :1] - y[:, np.minimum(np.arange(pad, 0, -1), n - 1)]
    right = 2 * y[:, -1:] - y[:, np.maximum(n - 2 - np.arange(pad), 0)]
    extended = np.concatenate([left, y, right], axis=1)
    for kernel in kernels:
        extended = signal.fftconvolve(extended, kernel[None], mode="same", axes=1)
    length = extended.shape[1]
    n_bins = int(np.ceil(min(rate_hz, params.rate_hz) / 2 * length / rate_hz - 1e-9))
    bins = np.fft.rfft(extended)[:, :n_bins]
    bins[:, 1:] *= 2
    bins *= np.exp(2j * np.pi * np.arange(n_bins) * pad / length)
    n_out = int(np.floor((n - 1) * params.rate_hz / rate_hz + 1e-9)) + 1
    step = np.exp(2j * np.pi * rate_hz / params.rate_hz / length)
    return signal.czt(bins, m=n_out, w=step, axis=1).real / length
