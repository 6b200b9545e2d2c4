"""Fields of an EEGLAB dataset that decide signal and time. All are checked together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.expected import SANE_RATES_HZ
from eegfm.signal.matlab.read import read_variables
from eegfm.signal.matlab.values import Value, Wanted
from eegfm.signal.text import stripped

# ``xmax`` of some writers counts one sample more. A wrong rate moves it much further.
MAX_END_ERROR_SAMPLES = 2.0
MAX_END_ERROR_RATIO = 1e-4
RESAVE = "correct the field in EEGLAB and save the file again, or leave it out"

_EEG: Wanted = {
    "nbchan": None,
    "pnts": None,
    "trials": None,
    "srate": None,
    "xmin": None,
    "xmax": None,
    "data": None,
    "chanlocs": {"labels": None},
    "event": {"type": None, "latency": None, "duration": None},
}


@dataclass(frozen=True)
class Fields:
    """Fields of an EEGLAB dataset that a reader of signals needs.

    Args:
        labels: ``nbchan`` channel labels.
        n_samples: Samples of one channel.
        rate_hz: Sampling rate.
        data: (C, T) samples, or the name of the file that holds them.
        events: ``type``, ``latency`` (in samples, from 1) and ``duration`` as stored.
        flags: Faults that leave signal and timing intact.
    """

    labels: tuple[str, ...]
    n_samples: int
    rate_hz: float
    data: NDArray[np.generic] | str
    events: list[dict[str, Value]]
    flags: tuple[str, ...]


def read_fields(path: Path, max_bytes: int) -> Fields:
    """Read and check a ``.set``.

    Args:
        path: The file.
        max_bytes: Most memory that the file may take, embedded samples included.

    Raises:
        RecordingError: The file is damaged (``matlab_unreadable``), too large (``too_large``), no EEGLAB dataset
            (``not_eeglab``) or has epochs (``epochs``), a field has no usable value (``eeglab_field``,
            ``sampling_rate``), or fields contradict each other (``channel_list``, ``rate_against_xmax``).
    """
    eeg = _dataset(path, read_variables(path, {"EEG": _EEG, **_EEG}, max_bytes))
    numbers = {name: _number(eeg, name) for name in ("nbchan", "pnts", "trials", "srate", "xmin", "xmax")}
    n_channels, n_samples = _count(path, numbers, "nbchan"), _count(path, numbers, "pnts")
    _check_continuous(path, eeg, numbers)
    rate_hz = _rate_hz(path, numbers)
    flags = _check_end(path, numbers, n_samples, rate_hz)
    data = eeg.get("data")
    if not isinstance(data, str | np.ndarray):
        raise _not_eeglab(path, "data is neither numbers nor the name of a file")
    return Fields(
        labels=_labels(path, eeg, n_channels),
        n_samples=n_samples,
        rate_hz=rate_hz,
        data=data,
        events=_table(eeg.get("event")),
        flags=flags,
    )


def _dataset(path: Path, variables: Mapping[str, Value]) -> Mapping[str, Value]:
    """The fields, from the struct ``EEG`` or from separate variables."""
    outer = variables.get("EEG")
    if isinstance(outer, list):
        if len(outer) != 1:
            raise _not_eeglab(path, f"it holds {len(outer)} datasets")
        variables = outer[0]
    missing = [name for name in ("nbchan", "pnts", "srate", "data") if name not in variables]
    if missing:
        raise _not_eeglab(path, f"it has no {', no '.join(missing)}")
    return variables


def _not_eeglab(path: Path, found: str) -> RecordingError:
    return RecordingError(
        "not_eeglab",
        f"{path.name}: not one EEGLAB dataset, {found}",
        "save one continuous recording from EEGLAB, or leave the file out",
    )


def _number(eeg: Mapping[str, Value], name: str) -> float | None:
    """A real number; None if the field is absent or empty, NaN if it holds anything else.

    A number in single precision stands for the shortest decimal that rounds to it: 999.412, and not 999.4119873046875.
    """
    value = eeg.get(name)
    if value is None or (isinstance(value, str | np.ndarray | tuple) and len(value) == 0):
        return None
    if not isinstance(value, np.ndarray) or value.size != 1:
        return math.nan
    number = value.reshape(-1)[0]
    return float(str(number)) if isinstance(number, np.float32) else float(number)


def _count(path: Path, numbers: Mapping[str, float | None], name: str) -> int:
    value = numbers[name]
    if value is None or not value >= 1 or value != int(value):
        raise _bad_field(path, name, value, "a whole number from 1")
    return int(value)


def _bad_field(path: Path, name: str, value: float | None, allowed: str) -> RecordingError:
    found = "empty" if value is None else f"{value:g}"
    return RecordingError("eeglab_field", f"{path.name}: {name} is {found}; it must be {allowed}", RESAVE)


def _check_continuous(path: Path, eeg: Mapping[str, Value], numbers: Mapping[str, float | None]) -> None:
    """Refuse several trials. An empty field means one trial, as in EEGLAB; the size of the samples proves it."""
    data = eeg.get("data")
    n_trials = 1.0 if numbers["trials"] is None else numbers["trials"]
    if n_trials > 1 or (isinstance(data, np.ndarray) and data.ndim > 2):
        raise RecordingError(
            "epochs",
            f"{path.name}: cut into epochs (trials is {n_trials:g})",
            "use the continuous recording that the epochs were cut from",
        )
    if n_trials != 1:
        raise _bad_field(path, "trials", numbers["trials"], "1 for a continuous recording")


def _rate_hz(path: Path, numbers: Mapping[str, float | None]) -> float:
    rate_hz, (low, high) = numbers["srate"], SANE_RATES_HZ
    if rate_hz is None or not low <= rate_hz <= high:
        found = "empty" if rate_hz is None else f"{rate_hz:g} Hz"
        raise RecordingError(
            "sampling_rate", f"{path.name}: srate is {found}; {low:g} to {high:g} Hz is allowed", RESAVE
        )
    return rate_hz


def _check_end(path: Path, numbers: Mapping[str, float | None], n_samples: int, rate_hz: float) -> tuple[str, ...]:
    """Compare the rate with ``xmax``, the time of the last sample. A wrong ``xmin`` only shifts this time."""
    xmin, xmax, last_s = numbers["xmin"], numbers["xmax"], (n_samples - 1) / rate_hz
    flags = () if xmin in {None, 0.0} else ("xmin_not_zero",)
    if xmax is None or not math.isfinite(xmax):
        return flags
    tolerance_s = max(MAX_END_ERROR_SAMPLES / rate_hz, MAX_END_ERROR_RATIO * last_s)
    starts = {0.0, xmin} if xmin is not None and math.isfinite(xmin) else {0.0}
    if all(abs(xmax - start - last_s) > tolerance_s for start in starts):
        raise RecordingError(
            "rate_against_xmax",
            f"{path.name}: {n_samples} samples at {rate_hz:g} Hz end at {last_s:.3f} s, xmax says {xmax:.3f} s",
            RESAVE,
        )
    return flags


def _labels(path: Path, eeg: Mapping[str, Value], n_channels: int) -> tuple[str, ...]:
    channels = _table(eeg.get("chanlocs"))
    if len(channels) != n_channels:
        raise RecordingError(
            "channel_list",
            f"{path.name}: nbchan is {n_channels}, chanlocs lists {len(channels)} channels",
            RESAVE,
        )
    labels = [item.get("labels") for item in channels]
    return tuple(stripped(label) if isinstance(label, str) else "" for label in labels)


def _table(value: Value) -> list[dict[str, Value]]:
    """Rows of a struct array. Anything else has no rows, such as the empty matrix that stands for an empty array."""
    return value if isinstance(value, list) else []
