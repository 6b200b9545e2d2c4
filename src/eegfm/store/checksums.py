"""CRC-32C of stored samples, block by block."""

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from eegfm.store.layout import BLOCK_ROWS

# Bytes per call. A call holds the interpreter's lock, so other threads wait at most a tenth of a millisecond.
_CALL_BYTES = 1 << 20


class BlockChecksums:
    """Checksums of samples that arrive in pieces of any length."""

    def __init__(self) -> None:
        self._done: list[int] = []
        self._crc = 0
        self._n_rows = 0

    def add(self, samples: NDArray[np.int16]) -> None:
        """Add the next (T, C) samples."""
        first = 0
        while first < len(samples):
            last = min(first + BLOCK_ROWS - self._n_rows, len(samples))
            self._crc = checksum(samples[first:last], self._crc)
            self._n_rows += last - first
            if self._n_rows == BLOCK_ROWS:
                self._done.append(self._crc)
                self._crc, self._n_rows = 0, 0
            first = last

    def result(self) -> list[int]:
        """CRC-32C of each block of ``BLOCK_ROWS`` rows; the last one may be shorter."""
        return [*self._done, self._crc] if self._n_rows else list(self._done)


def block_checksums(samples: NDArray[np.int16]) -> list[int]:
    """CRC-32C of each block of (T, C) samples in memory."""
    checksums = BlockChecksums()
    checksums.add(samples)
    return checksums.result()


def checksum(samples: NDArray[np.int16], crc: int = 0) -> int:
    """CRC-32C of (T, C) samples.

    Args:
        samples: The samples.
        crc: CRC-32C of the samples before.
    """
    data = np.ascontiguousarray(samples).reshape(-1).view(np.uint8)
    for first in range(0, data.size, _CALL_BYTES):
        crc = google_crc32c.extend(crc, data[first : first + _CALL_BYTES])
    return crc
