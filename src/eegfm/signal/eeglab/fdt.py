"""Samples of EEGLAB recordings: time-major, in memory or in an ``.fdt`` file of plain float32.

An ``.fdt`` has no header. Its size follows from the ``.set``. A wrong byte order and swapped axes keep the size; they
are found in the values, by statistics that genuine recordings pass with a wide margin.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError

SAMPLE_BYTES = 4
FETCH_AGAIN = "fetch .set and .fdt again, together, or save the recording again in EEGLAB"
# A quarter of a megabyte. The block is still in the L2 cache when it is transposed.
BLOCK_VALUES = 1 << 16
N_PROBES = 8
PROBE_VALUES = 1 << 15
# Range of plausible magnitudes, from a trillionth of a microvolt to a thousand volts.
SANE_UV = (1e-12, 1e9)
MAX_ABSURD_RATIO = 0.25
MAX_SANE_ABSURD_RATIO = 0.02
MIN_AXIS_RATIO = 1.15
MIN_AXIS_ROWS = 500
OUTLIER_RATIO = 0.1


class TimeMajor(Protocol):
    """Samples of all channels, one instant after the other."""

    n_samples: int
    n_channels: int

    def rows(self, start: int, stop: int) -> NDArray[np.generic]:
        """(stop - start, C) samples."""
        ...


class ArraySamples:
    """Samples in memory, in the type that the file stores.

    Args:
        stored: (T, C).
    """

    def __init__(self, stored: NDArray[np.generic]) -> None:
        self.n_samples, self.n_channels = stored.shape
        self._stored = stored

    def rows(self, start: int, stop: int) -> NDArray[np.generic]:
        """(stop - start, C) samples."""
        return self._stored[start:stop]


class FdtSamples:
    """Samples of an ``.fdt``, read on demand.

    This uses plain reads, not a mapping. If the file shrinks meanwhile, it is rejected; a mapping would kill the
    process.

    Args:
        path: The file.
        n_samples: Number of samples T that the ``.set`` states.
        n_channels: Number of channels C that the ``.set`` states.
        electrodes: Channels whose values have the magnitudes of EEG; all if none is given.

    Raises:
        RecordingError: The file has another size (``fdt_size``), byte order (``fdt_byte_order``) or order of the axes
            (``fdt_transposed``), or holds no float32 at all (``fdt_values``).
    """

    def __init__(self, path: Path, n_samples: int, n_channels: int, electrodes: Sequence[int] = ()) -> None:
        self.n_samples, self.n_channels = n_samples, n_channels
        self._path = path
        self._check_size()
        probes = self._probes()
        _check_byte_order(path, [probe[:, list(electrodes)] for probe in probes] if electrodes else probes)
        _check_axes(path, probes)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """(stop - start, C) samples.

        Raises:
            RecordingError: The file has become shorter (``fdt_size``) or cannot be read (``unreadable``).
        """
        count = (stop - start) * self.n_channels
        try:
            with self._path.open("rb", buffering=0) as file:
                file.seek(start * self.n_channels * SAMPLE_BYTES)
                values = np.fromfile(file, dtype="<f4", count=count)
        except OSError as error:
            raise RecordingError("unreadable", f"{self._path.name}: {error.strerror or error}", FETCH_AGAIN) from error
        if values.size != count:
            raise RecordingError("fdt_size", f"{self._path.name}: became shorter while it was read", FETCH_AGAIN)
        return values.reshape(stop - start, self.n_channels)

    def _check_size(self) -> None:
        wanted = self.n_samples * self.n_channels * SAMPLE_BYTES
        try:
            found = self._path.stat().st_size
        except OSError as error:
            raise RecordingError(
                "fdt_missing",
                f"{self._path.name}: the file with the samples is not there ({error.strerror})",
                "put it beside the .set; a cloned data set may need to fetch it first",
            ) from error
        if found != wanted:
            hint = ", as if its values were 64-bit" if found == 2 * wanted else ""
            raise RecordingError(
                "fdt_size",
                f"{self._path.name}: {found} bytes{hint}; {self.n_channels} channels of {self.n_samples} samples "
                f"take {wanted}",
                FETCH_AGAIN,
            )

    def _probes(self) -> list[NDArray[np.float32]]:
        """(T_i, C) stretches spread over the file, or the whole file."""
        n_rows = max(PROBE_VALUES // self.n_channels, MIN_AXIS_ROWS // N_PROBES + 1)
        if n_rows * N_PROBES >= self.n_samples:
            return [self.rows(0, self.n_samples)]
        starts = np.linspace(0, self.n_samples - n_rows, N_PROBES).astype(int)
        return [self.rows(int(start), int(start) + n_rows) for start in starts]


def channel_major(samples: TimeMajor, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float32]:
    """Samples [start, stop) of some channels: (len(channels), stop - start) float32, C-contiguous.

    The samples are transposed block by block. Transposing a whole recording at once would miss the cache with every
    value.
    """
    out = np.empty((len(channels), stop - start), dtype=np.float32)
    picks = np.asarray(channels, dtype=np.intp)
    n_rows = max(BLOCK_VALUES // samples.n_channels, 1)
    for at in range(start, stop, n_rows):
        block = samples.rows(at, min(at + n_rows, stop))
        with np.errstate(over="ignore"):  # values beyond float32 become infinite and are flagged as non-finite
            out[:, at - start : at - start + len(block)] = block.T[picks]
    return out


def _check_byte_order(path: Path, probes: Sequence[NDArray[np.float32]]) -> None:
    """Refuse values of any magnitude, which four bytes read backwards give."""
    values = np.concatenate([probe.reshape(-1) for probe in probes])
    as_is, swapped = _absurd_ratio(values), _absurd_ratio(values.byteswap())
    if as_is <= MAX_ABSURD_RATIO:
        return
    found = f"{path.name}: {as_is:.0%} of its values are of no magnitude that a recording has"
    if swapped <= MAX_SANE_ABSURD_RATIO:
        raise RecordingError("fdt_byte_order", f"{found}, but all are in the other byte order", FETCH_AGAIN)
    raise RecordingError("fdt_values", f"{found}; it does not hold 32-bit numbers", FETCH_AGAIN)


def _absurd_ratio(values: NDArray[np.float32]) -> float:
    """Share of values that are no EEG in any unit. Zeros and non-finite values do not count."""
    size = np.abs(values[np.isfinite(values) & (values != 0)])
    low, high = SANE_UV
    return float(np.mean((size < low) | (size > high))) if size.size else 0.0


def _check_axes(path: Path, probes: Sequence[NDArray[np.float32]]) -> None:
    """Refuse channel-major samples.

    In time-major samples, the step from the last channel to the first channel of the next sample spans a pair of
    channels and a step in time. It is never smaller than the step in time of every channel. With swapped axes it is an
    ordinary step in time, and the apparent steps in time are steps over C samples.
    """
    n_channels = probes[0].shape[1]
    if n_channels < 2 or sum(len(probe) for probe in probes) < MIN_AXIS_ROWS:
        return
    with np.errstate(invalid="ignore", over="ignore"):  # steps between non-finite values are left out
        along_file = [np.diff(probe.reshape(-1))[: (len(probe) - 1) * n_channels] for probe in probes]
        in_time = _typical_steps(np.concatenate([np.diff(probe, axis=0) for probe in probes]))
    neighbours = _typical_steps(np.concatenate([steps.reshape(-1, n_channels) for steps in along_file]))
    if in_time.min() > MIN_AXIS_RATIO * neighbours.max() > 0:
        raise RecordingError(
            "fdt_transposed",
            f"{path.name}: its values change less from channel to channel than from sample to sample, "
            "as if channels stood one after the other",
            FETCH_AGAIN,
        )


def _typical_steps(steps: NDArray[np.float32]) -> NDArray[np.float64]:
    """(C,) mean size of the steps of each column, without the largest and the non-finite steps."""
    n_keep = max(int(len(steps) * (1 - OUTLIER_RATIO)), 1)
    kept = np.partition(np.abs(steps), n_keep - 1, axis=0)[:n_keep]
    typical: NDArray[np.float64] = np.where(np.isfinite(kept), kept, 0).mean(axis=0, dtype=np.float64)
    return typical
