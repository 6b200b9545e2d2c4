"""The log spectrum, against scipy."""

import numpy as np
import pytest
import torch
from scipy.signal import periodogram

from eegfm.errors import ConfigError
from eegfm.nn.spectrum import log_power_spectrum, spectrum_frequencies_hz


@pytest.mark.parametrize(
    ("n_samples", "rate_hz", "high_hz"), [(100, 100.0, 45.0), (125, 250.0, 70.0), (50, 100.0, 45.0)]
)
def test_equals_scipys_density(n_samples: int, rate_hz: float, high_hz: float) -> None:
    patches = 20 * np.random.default_rng(0).normal(size=(3, 4, n_samples)) + 5
    frequencies, density = periodogram(patches, rate_hz, window="hann", detrend=False)
    kept = (frequencies > 0) & (frequencies <= high_hz)
    np.testing.assert_allclose(spectrum_frequencies_hz(n_samples, rate_hz, high_hz), frequencies[kept])
    result = log_power_spectrum(torch.from_numpy(patches), rate_hz, high_hz)
    np.testing.assert_allclose(result.numpy(), np.log10(density[..., kept] + 1e-4), atol=1e-9)


def test_a_flat_patch_is_finite() -> None:
    assert torch.equal(log_power_spectrum(torch.zeros(100), 100.0, 45.0), torch.full((45,), -4.0))


def test_impossible_bands_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"high_hz 50 is not below half the rate \(50 Hz\)"):
        spectrum_frequencies_hz(100, 100.0, 50.0)
    with pytest.raises(ConfigError, match=r"high_hz 1 .*2 Hz"):
        spectrum_frequencies_hz(50, 100.0, 1.0)
