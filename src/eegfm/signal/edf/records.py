"""Decode the data records of an EDF or BDF file to microvolts. This is the hot path of a conversion."""

import mmap
from copy import copy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.edf.calibration import Calibration
from eegfm.signal.edf.channels import EdfChannel
from eegfm.signal.edf.fields import FETCH_AGAIN
from eegfm.signal.edf.header import EdfHeader

# Number of samples decoded at once, so that intermediate values stay in the processor's cache.
CHUNK_SAMPLES = 1 << 15
# Bytes after which mapped pages are released. Releasing costs time, holding costs memory.
FORGET_BYTES = 16 << 20
# Largest value for single precision. Its error is 2**-24 of a value; after four roundings this is a quarter of a step.
MAX_SINGLE_STEPS = 1 << 20


class EdfRecords:
    """The records of one mapped file. Samples are read on demand.

    Args:
        path: The file.
        header: Its header; the file must hold all its records.

    Raises:
        RecordingError: The file cannot be opened (``unreadable``).
    """

    def __init__(self, path: Path, header: EdfHeader) -> None:
        self._header = header
        self._n_records = header.n_records
        self._n_mapped_bytes = 0
        try:
            with path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise RecordingError("unreadable", f"{path.name}: {error}", FETCH_AGAIN) from error
        self._bytes = np.frombuffer(self._mapped, dtype=np.uint8)

    def resized(self, n_records: int) -> "EdfRecords":
        """The same file with another number of records."""
        other = copy(self)
        other._n_records = n_records
        assert other._end <= self._bytes.size
        return other

    def digital(
        self, channel: EdfChannel, first: int = 0, last: int | None = None, step: int = 1
    ) -> NDArray[np.int16] | NDArray[np.int32]:
        """Digital values of records [first, last), or of every ``step``-th of them: (records, samples per record)."""
        stored = self._stored(channel)[first:last:step].copy()
        return stored if stored.dtype.itemsize == 2 else stored >> 8

    def text(self, channel: EdfChannel, record: int) -> bytes:
        """Bytes of an annotation channel in one record."""
        header = self._header
        at = header.header_bytes + record * header.record_bytes + channel.offset * header.sample_bytes
        return self._bytes[at : at + channel.n_per_record * header.sample_bytes].tobytes()

    def extra_bytes(self) -> NDArray[np.uint8]:
        """Bytes after the last record."""
        return self._bytes[self._end :]

    def last_bytes(self, n_bytes: int) -> NDArray[np.uint8]:
        """Last bytes of the last record."""
        return self._bytes[self._end - n_bytes : self._end]

    @property
    def _end(self) -> int:
        return self._header.header_bytes + self._n_records * self._header.record_bytes

    def forget(self, n_records: int) -> None:
        """Release mapped pages from time to time, because the system counts them as memory of this process.

        Args:
            n_records: Number of records read since the last call.
        """
        self._n_mapped_bytes += n_records * self._header.record_bytes
        if self._n_mapped_bytes < FORGET_BYTES:
            return
        self._n_mapped_bytes = 0
        if hasattr(self._mapped, "madvise"):
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def read_uv(self, channel: EdfChannel, calibration: Calibration, start: int, out: NDArray[np.float32]) -> None:
        """Decode samples [start, start + out.size) of a channel into ``out``, in microvolts."""
        n, stop = channel.n_per_record, start + out.size
        stored = self._stored(channel)
        decode = _Decoder(calibration)
        first, last = -(-start // n), stop // n
        if first > last:
            decode(stored[last, start - last * n : stop - last * n], out)
            return
        head, tail = first * n - start, stop - last * n
        if head:
            decode(stored[first - 1, n - head :], out[:head])
        step = max(CHUNK_SAMPLES // n, 1)
        body = out[head : out.size - tail].reshape(-1, n)
        for row in range(0, last - first, step):
            decode(stored[first + row : min(first + row + step, last)], body[row : row + step])
        if tail:
            decode(stored[last, :tail], out[out.size - tail :])

    def _stored(self, channel: EdfChannel) -> NDArray[np.int16] | NDArray[np.int32]:
        """A channel as a view of the file: (n_records, samples per record), 24-bit values in the upper three bytes.

        A 24-bit value and the byte before it form one 32-bit value. The header ensures that such a byte exists.
        """
        header = self._header
        width = header.sample_bytes
        at = header.header_bytes + channel.offset * width
        shape, strides = (self._n_records, channel.n_per_record), (header.record_bytes, width)
        kind, before = ("<i2", 0) if width == 2 else ("<i4", 1)
        return np.ndarray(shape, kind, self._bytes, at - before, strides)


class _Decoder:
    """Applies one calibration to stored values."""

    def __init__(self, calibration: Calibration) -> None:
        gain_uv, offset_uv = calibration.gain_uv, calibration.offset_uv
        self._gain_uv, self._offset_uv = np.float64(gain_uv), np.float64(offset_uv)
        self._offset_is_small = abs(offset_uv) <= MAX_SINGLE_STEPS * abs(gain_uv)

    def __call__(self, stored: NDArray[np.int16] | NDArray[np.int32], out: NDArray[np.float32]) -> None:
        if stored.dtype.itemsize == 2 and self._offset_is_small:
            out[...] = stored
            out *= np.float32(self._gain_uv)
            out += np.float32(self._offset_uv)
            return
        steps = stored.copy()
        if steps.dtype.itemsize == 4:
            steps >>= 8
        exact = steps * self._gain_uv
        exact += self._offset_uv
        out[...] = exact
