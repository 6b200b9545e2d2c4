"""Kernels are those of the library that they are written after, which takes long to import."""

import sys

import numpy as np
import pytest
from scipy.signal import firwin

from eegfm.signal.config import SignalParams
from eegfm.signal.processing.kernels import HAMMING_FACTOR, band_kernels
from kedro_project import run_python


@pytest.mark.parametrize("rate_hz", [100.0, 125.0, 128.02, 249.994, 256.0, 500.0, 1000.0, 2048.0])
@pytest.mark.parametrize(("low_hz", "high_hz"), [(0.5, 45.0), (1.0, 30.0), (4.0, 12.5)])
def test_the_band_is_scipys_to_the_bit(rate_hz: float, low_hz: float, high_hz: float) -> None:
    def low_pass(cutoff_hz: float, width_hz: float) -> np.ndarray:
        n_taps = round(HAMMING_FACTOR * rate_hz / width_hz)
        return firwin(n_taps + 1 - n_taps % 2, cutoff_hz, window="hamming", fs=rate_hz)

    params = SignalParams(low_hz=low_hz, high_hz=high_hz)
    high_width = min(max(0.25 * high_hz, 2.0), 50.0 - high_hz)
    low_width = min(max(0.25 * low_hz, 2.0), low_hz)
    high, low = low_pass(high_hz + high_width / 2, high_width), low_pass(low_hz - low_width / 2, low_width)
    expected = np.zeros(max(high.size, low.size))
    for kernel, sign in ((high, 1), (low, -1)):
        start = (expected.size - kernel.size) // 2
        expected[start : start + kernel.size] += sign * kernel
    [found] = band_kernels(rate_hz, params)
    assert np.array_equal(found, expected)


def test_a_worker_starts_without_scipys_signal() -> None:
    """It takes as long to import as everything else that converts a file."""
    assert "scipy.signal" in sys.modules, "here it is"
    done = run_python("import sys, eegfm.jobs.ingest.workers; print('scipy.signal' in sys.modules)")
    assert done.stdout == "False\n", done.stderr
