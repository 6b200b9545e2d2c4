"""CRC-32C of stored samples, block by block."""

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from eegfm.store.layout import BLOCK_ROWS


class BlockChecksums:
    """Takes in samples as they are written, however they are cut."""

    def __init__(self) -> None:
        self._done: list[int] = []
        self._crc = 0
        self._n_rows = 0

    def add(self, samples: NDArray[np.int16]) -> None:
        """Take in the next (T, C) samples."""
        first = 0
        while first < len(samples):
            last = min(first + BLOCK_ROWS - self._n_rows, len(samples))
            self._crc = google_crc32c.extend(self._crc, np.ascontiguousarray(samples[first:last]).tobytes())
            self._n_rows += last - first
            if self._n_rows == BLOCK_ROWS:
                self._done, self._crc, self._n_rows = [*self._done, self._crc], 0, 0
            first = last

    def result(self) -> list[int]:
        """CRC-32C of each block of ``BLOCK_ROWS`` rows; the last one may be shorter."""
        return [*self._done, self._crc] if self._n_rows else list(self._done)


def block_checksums(samples: NDArray[np.int16]) -> list[int]:
    """CRC-32C of each block of (T, C) samples that are there at once."""
    checksums = BlockChecksums()
    checksums.add(samples)
    return checksums.result()
