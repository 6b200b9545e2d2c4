"""FIR kernels of the filters, as in MNE's default design (windowed sinc, Hamming, one kernel per band edge)."""

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import ConfigError, RecordingError
from eegfm.signal.config import SignalParams

MIN_TRANSITION_HZ = 0.5
# Length of a Hamming FIR times its transition band divided by the rate (MNE's length factor).
HAMMING_FACTOR = 3.3
NOTCH_WIDTH_RATIO = 1 / 200
NOTCH_TRANSITION_HZ = 0.5


def band_kernels(rate_hz: float, params: SignalParams) -> tuple[NDArray[np.float64], ...]:
    """FIR kernels whose convolution is the whole filter: one for the band-pass, one for all notches.

    Args:
        rate_hz: Rate at which the kernels run.
        params: Band, notch and output rate. The upper transition band ends at or below half the lower of both rates, so
            nothing aliases.

    Raises:
        ConfigError: ``high_hz`` leaves no room below half the output rate, or ``low_hz`` leaves no room below
            ``high_hz``.
        RecordingError: ``high_hz`` leaves no room below half the input rate.
    """
    high_width = _high_transition_hz(rate_hz, params)
    low_width = min(max(0.25 * params.low_hz, 2.0), params.low_hz)
    band = _difference(
        _low_pass(rate_hz, params.high_hz + high_width / 2, high_width),
        _low_pass(rate_hz, params.low_hz - low_width / 2, low_width),
    )
    notches = _notch_frequencies_hz(params, params.high_hz + high_width)
    return (band,) if not notches else (band, _notch_kernel(rate_hz, notches))


def _high_transition_hz(rate_in_hz: float, params: SignalParams) -> float:
    """Width of the upper transition band: MNE's rule, at the lower of the two rates."""
    for side, rate_hz in (("in", rate_in_hz), ("out", params.rate_hz)):
        room = rate_hz / 2 - params.high_hz
        if room >= MIN_TRANSITION_HZ:
            continue
        found = (
            f"high_hz={params.high_hz:g} leaves {room:g} Hz below half the rate of {rate_hz:g} Hz, "
            f"{MIN_TRANSITION_HZ:g} Hz are needed"
        )
        if side == "out":
            raise ConfigError(f"{found}; lower high_hz or raise rate_hz")
        raise RecordingError("rate_too_low", f"the recording: {found}", _remedy(rate_hz))
    nyquist_hz = min(rate_in_hz, params.rate_hz) / 2
    return min(max(0.25 * params.high_hz, 2.0), nyquist_hz - params.high_hz)


def _remedy(rate_in_hz: float) -> str:
    highest_hz = rate_in_hz / 2 - MIN_TRANSITION_HZ
    return f"set signal.high_hz to at most {highest_hz:g} for this recording, or leave it out"


def _low_pass(rate_hz: float, cutoff_hz: float, width_hz: float) -> NDArray[np.float64]:
    """Hamming low-pass of odd length, half amplitude at the cutoff: ``scipy.signal.firwin`` to the bit.

    Written out, because importing ``scipy.signal`` takes half of the time in which a worker process starts.
    """
    n_taps = round(HAMMING_FACTOR * rate_hz / width_hz)
    n_taps += 1 - n_taps % 2
    cutoff = cutoff_hz / (rate_hz / 2)
    kernel = cutoff * np.sinc(cutoff * (np.arange(n_taps) - (n_taps - 1) / 2))
    kernel *= 0.54 + (1 - 0.54) * np.cos(np.linspace(-np.pi, np.pi, n_taps))
    scaled: NDArray[np.float64] = kernel / kernel.sum()
    return scaled


def _difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """First minus second, both centred."""
    out = np.zeros(max(first.size, second.size))
    for kernel, sign in ((first, 1.0), (second, -1.0)):
        margin = (out.size - kernel.size) // 2
        out[margin : out.size - margin] += sign * kernel
    return out


def _notch_frequencies_hz(params: SignalParams, stop_hz: float) -> list[float]:
    """The line frequency and its harmonics within the band-pass."""
    if params.notch_hz is None:
        return []
    count = int(stop_hz / params.notch_hz)
    candidates = [params.notch_hz * (i + 1) for i in range(count)]
    return [f for f in candidates if f - f * NOTCH_WIDTH_RATIO / 2 - 2 * NOTCH_TRANSITION_HZ < stop_hz]


def _notch_kernel(rate_hz: float, notches_hz: list[float]) -> NDArray[np.float64]:
    """Band-stop around each frequency, as wide as MNE's ``notch_filter`` makes it."""
    kernel = np.ones(1)
    for frequency_hz in notches_hz:
        half_hz = frequency_hz * NOTCH_WIDTH_RATIO / 2 + NOTCH_TRANSITION_HZ / 2
        below = _low_pass(rate_hz, frequency_hz - half_hz, NOTCH_TRANSITION_HZ)
        # A line at half the rate has no upper side, so everything above its lower edge is stopped.
        is_last = frequency_hz + half_hz + NOTCH_TRANSITION_HZ / 2 > rate_hz / 2
        above = np.ones(1) if is_last else _low_pass(rate_hz, frequency_hz + half_hz, NOTCH_TRANSITION_HZ)
        stop = _difference(above, below)
        kernel = _difference(kernel, stop)
    return kernel
