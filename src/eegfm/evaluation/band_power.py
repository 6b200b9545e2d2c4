"""Band power of windows: absolute and relative, two controls for every learned feature."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import welch

from eegfm.errors import ConfigError

BANDS_HZ = {
    "delta": (0.5, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 45.0),
}
SEGMENT_S = 1.0
FLOOR_UV2 = 1e-6  # far below any amplifier's noise; keeps a flat channel finite


def log_band_power(signal_uv: NDArray[np.floating], rate_hz: float) -> NDArray[np.float32]:
    """Take log10 of the power in each band (Welch 1967: Hann segments of 1 s, half overlapping).

    Args:
        signal_uv: (B, C, T) microvolts.
        rate_hz: Sampling rate.

    Returns:
        (B, C, 5) in log10 of square microvolts, bands in the order of ``BANDS_HZ``.

    Raises:
        ConfigError: The windows are shorter than a segment, or the rate is too low for the bands.
    """
    refuse_unresolved(signal_uv.shape[-1], rate_hz)
    n_segment = round(SEGMENT_S * rate_hz)
    frequencies_hz, density = welch(np.asarray(signal_uv, dtype=np.float64), rate_hz, nperseg=n_segment, axis=-1)
    powers = [
        density[..., (frequencies_hz >= low_hz) & (frequencies_hz < high_hz)].sum(axis=-1) * frequencies_hz[1]
        for low_hz, high_hz in BANDS_HZ.values()
    ]
    return np.asarray(np.log10(np.stack(powers, axis=-1) + FLOOR_UV2), dtype=np.float32)


def relative_band_power(log_power: NDArray[np.floating]) -> NDArray[np.float32]:
    """Take log10 of the share that each band has in the power of its channel over all bands.

    The gain of a channel does not change it. Amplifier, skin and skull of a person mostly are such a gain.

    Args:
        log_power: (..., 5) from ``log_band_power``.

    Returns:
        (..., 5) log10 of shares.
    """
    powers = 10.0 ** np.asarray(log_power, dtype=np.float64)
    return np.asarray(np.log10(powers / powers.sum(axis=-1, keepdims=True)), dtype=np.float32)


def refuse_unresolved(n_samples: int, rate_hz: float) -> None:
    """Refuse windows in which the bands cannot be told apart.

    Raises:
        ConfigError: The windows are shorter than a segment, or the rate is too low for the bands.
    """
    highest_hz = max(high_hz for _, high_hz in BANDS_HZ.values())
    if n_samples < round(SEGMENT_S * rate_hz) or rate_hz < 2 * highest_hz:
        raise ConfigError(
            f"windows of {n_samples} samples at {rate_hz:g} Hz do not resolve bands up to {highest_hz:g} Hz; "
            f"at least {SEGMENT_S:g} s at {2 * highest_hz:g} Hz are needed"
        )
