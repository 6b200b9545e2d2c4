"""Hash of each channel's decoded signal. It finds identical signals under different names."""

import numpy as np
import xxhash
from numpy.typing import NDArray


class ChannelHashes:
    """Hashes the samples of each channel, block by block. The cuts between blocks make no difference.

    The hash covers float32 microvolts at the recorded rate. A file that was published again with another header or in
    another folder therefore keeps its hashes.

    Args:
        n_channels: Number of channels C.
    """

    def __init__(self, n_channels: int) -> None:
        self._hashes = [xxhash.xxh3_128() for _ in range(n_channels)]

    def add(self, channel: int, samples: NDArray[np.float32]) -> None:
        """Add the next (T,) samples of one channel."""
        self._hashes[channel].update(np.ascontiguousarray(samples, dtype="<f4").data)

    def result(self) -> list[str]:
        """(C,) XXH3-128 in hexadecimal."""
        return [channel.hexdigest() for channel in self._hashes]
