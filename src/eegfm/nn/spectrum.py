"""Power spectrum of a patch, used as encoder input and as prediction target."""

import torch
from torch import Tensor

from eegfm.errors import ConfigError


def log_power_spectrum(patches_uv: Tensor, rate_hz: float, high_hz: float) -> Tensor:
    """Log power spectral density of each patch through one Hann window.

    Args:
        patches_uv: (..., patch) microvolts.
        rate_hz: Sampling rate.
        high_hz: Highest frequency kept; the lowest is the first above 0 Hz.

    Returns:
        (..., K) log10 of uV²/Hz. A floor of 1e-4 uV²/Hz (10 nV/√Hz, below the noise of EEG amplifiers) keeps
        the logarithm of a flat channel finite.
    """
    n = patches_uv.shape[-1]
    hann = torch.hann_window(n, periodic=True, dtype=patches_uv.dtype, device=patches_uv.device)
    # Low precision is for matrix products; a spectrum of microvolts spans more than bfloat16 resolves.
    with torch.autocast(patches_uv.device.type, enabled=False):
        spectrum = torch.fft.rfft(patches_uv * hann)
        power = spectrum.real.square() + spectrum.imag.square()
    n_bins = len(spectrum_frequencies_hz(n, rate_hz, high_hz))
    density = power[..., 1 : n_bins + 1] * (2.0 / (rate_hz * hann.square().sum()))
    return torch.log10(density + 1e-4)


def spectrum_frequencies_hz(n_samples: int, rate_hz: float, high_hz: float) -> list[float]:
    """Return the frequencies of the bins that ``log_power_spectrum`` returns: above 0, at most ``high_hz``.

    Raises:
        ConfigError: ``high_hz`` is not below the Nyquist frequency, or leaves no bin.
    """
    step_hz = rate_hz / n_samples
    if high_hz >= rate_hz / 2:
        raise ConfigError(f"high_hz {high_hz:g} is not below half the rate ({rate_hz / 2:g} Hz); lower it")
    frequencies = [k * step_hz for k in range(1, int(high_hz / step_hz + 1e-9) + 1)]
    if not frequencies:
        raise ConfigError(
            f"high_hz {high_hz:g} is below the first bin of a patch of {n_samples / rate_hz:g} s "
            f"({step_hz:g} Hz); raise it or encoder.patch_s"
        )
    return frequencies
