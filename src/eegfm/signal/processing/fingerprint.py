"""Hash of each channel's decoded signal. It finds identical signals under different names."""

import numpy as np
import xxhash
from numpy.typing import NDArray


class ChannelHashes:
    """Hashes the samples of each channel as they pass by; how they are cut into blocks makes no difference.

    What is hashed are float32 microvolts at the recorded rate, so a file that was re-released with another header
    or in another folder keeps its hashes.

    Args:
        n_channels: Number of channels C.
    """

    def __init__(self, n_channels: int) -> None:
        self._hashes = [xxhash.xxh3_128() for _ in range(n_channels)]

    def add(self, channel: int, samples: NDArray[np.float32]) -> None:
        """Take in the next (T,) samples of one channel."""
        self._hashes[channel].update(np.ascontiguousarray(samples, dtype="<f4").data)

    def result(self) -> list[str]:
        """(C,) XXH3-128 in hexadecimal."""
        return [channel.hexdigest() for channel in self._hashes]
