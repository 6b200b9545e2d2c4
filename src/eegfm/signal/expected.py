"""Facts known about a recording before its file is opened, and a check of the file against them."""

import math
from dataclasses import dataclass

from eegfm.errors import RecordingError
from eegfm.signal.header import RecordingHeader

# A sidecar may or may not count the last record or sample, and it writes decimals.
MAX_DURATION_ERROR_S = 1.0
MAX_RATE_ERROR_RATIO = 1e-4
FETCH_BOTH = "fetch the recording and its side files again, or correct the one that is wrong"


@dataclass(frozen=True)
class Expected:
    """Facts about a signal from side files, a manifest or the configuration.

    Args:
        rates_hz: Rates that the signal may have; empty if unknown.
        duration_s: Seconds of signal, gaps not counted.
        n_channels: Least number of channels that the file must have, EEG or not.
        source: Source of these facts for messages, e.g. ``"sub-01_task-rest_eeg.json"``.
    """

    rates_hz: tuple[float, ...] = ()
    duration_s: float | None = None
    n_channels: int | None = None
    source: str = ""


def check_expected(header: RecordingHeader, expected: Expected, file_name: str) -> None:
    """Refuse a file that contradicts its side files.

    Raises:
        RecordingError: The file has another rate (``rate_mismatch``), another length (``length_mismatch``) or fewer
            channels (``channel_mismatch``).
    """
    if expected.rates_hz and not any(_same_rate(header.rate_hz, rate) for rate in expected.rates_hz):
        allowed = ", ".join(f"{rate:g}" for rate in expected.rates_hz)
        raise _mismatch("rate_mismatch", f"{file_name}: {header.rate_hz:g} Hz", f"{allowed} Hz", expected)
    if expected.duration_s is not None and not math.isclose(
        header.duration_s, expected.duration_s, rel_tol=MAX_RATE_ERROR_RATIO, abs_tol=MAX_DURATION_ERROR_S
    ):
        raise _mismatch(
            "length_mismatch", f"{file_name}: {header.duration_s:.3f} s", f"{expected.duration_s:.3f} s", expected
        )
    if expected.n_channels is not None and len(header.labels) < expected.n_channels:
        raise _mismatch(
            "channel_mismatch", f"{file_name}: {len(header.labels)} channels", f"{expected.n_channels}", expected
        )


def _same_rate(rate_hz: float, expected_hz: float) -> bool:
    return math.isclose(rate_hz, expected_hz, rel_tol=MAX_RATE_ERROR_RATIO)


def _mismatch(code: str, found: str, wanted: str, expected: Expected) -> RecordingError:
    return RecordingError(code, f"{found}, {expected.source} says {wanted}", FETCH_BOTH)


SANE_RATES_HZ = (1.0, 1e5)
