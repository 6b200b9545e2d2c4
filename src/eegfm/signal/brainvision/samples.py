"""Decode the samples of a BrainVision recording."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.brainvision.fields import FETCH_AGAIN
from eegfm.signal.brainvision.header import BrainVisionHeader

# Half a megabyte in double precision. The block is still in the L2 cache when it is transposed.
BLOCK_VALUES = 1 << 16


class BrainVisionSamples:
    """Stored numbers of one data file, read on demand.

    This uses plain reads, not a mapping. If the file shrinks meanwhile, it is rejected; a mapping would kill the
    process.

    Args:
        header: Checked header of the recording.
    """

    def __init__(self, header: BrainVisionHeader) -> None:
        self._path = header.data_path
        self._dtype = np.dtype(header.dtype)
        self._is_multiplexed = header.is_multiplexed
        self._n_channels, self._n_samples = len(header.labels), header.n_samples

    def blocks(self, start: int, stop: int, channels: Sequence[int]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Stored numbers of samples [start, stop), block by block.

        Yields:
            Place of a block in the result, rows and columns, and its numbers: (channels, samples).

        Raises:
            RecordingError: The file has become shorter (``data_size``) or cannot be read (``unreadable``).
        """
        n_rows = max(BLOCK_VALUES // self._n_channels, 1)
        with self._opened() as file:
            for at in range(start, stop, n_rows):
                end = min(at + n_rows, stop)
                yield slice(at - start, end - start), self._block(file, at, end, channels)

    def _block(self, file: BinaryIO, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float64]:
        n = stop - start
        if self._is_multiplexed:
            rows = self._numbers(file, start * self._n_channels, n * self._n_channels).reshape(n, self._n_channels)
            return rows.T[list(channels)].astype(np.float64)
        traces = [self._numbers(file, channel * self._n_samples + start, n) for channel in channels]
        return np.stack(traces).astype(np.float64)

    def _opened(self) -> BinaryIO:
        try:
            return self._path.open("rb", buffering=0)
        except OSError as error:
            raise self._unreadable(error) from error

    def _numbers(self, file: BinaryIO, first: int, count: int) -> NDArray[np.generic]:
        try:
            file.seek(first * self._dtype.itemsize)
            numbers = np.fromfile(file, dtype=self._dtype, count=count)
        except OSError as error:
            raise self._unreadable(error) from error
        if numbers.size != count:
            raise RecordingError("data_size", f"{self._path.name}: became shorter while it was read", FETCH_AGAIN)
        return numbers

    def _unreadable(self, error: OSError) -> RecordingError:
        reason = error.strerror or type(error).__name__
        return RecordingError("unreadable", f"{self._path.name}: {reason}", FETCH_AGAIN)
