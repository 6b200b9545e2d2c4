"""What training needs of signal stores."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eegfm.recording import Montage


class SignalStoreLike(Protocol):
    """What training needs of a signal store."""

    @property
    def rate_hz(self) -> float:
        """Sampling rate of all signals."""
        ...

    @property
    def filters(self) -> dict[str, float | None]:
        """What every signal went through."""
        ...

    @property
    def is_simulated(self) -> bool:
        """Whether the recordings are simulated."""
        ...

    @property
    def montages(self) -> Mapping[str, Montage]:
        """Montages by name."""
        ...

    def signals_sha256(self, recording_ids: Iterable[str], /) -> str:
        """Hash of the signals of some recordings."""
        ...

    def locate(
        self,
        montage: str,
        recording_ids: Iterable[str],
        starts: NDArray[np.int64],
        n_samples: int | NDArray[np.int64],
        /,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First rows of windows or runs, and rows of their recordings' scales."""
        ...

    def scales(self, montage: str, /) -> NDArray[np.float32]:
        """(R, C) microvolts per integer step."""
        ...

    def is_bad(self, montage: str, /) -> NDArray[np.bool_]:
        """(R, C) whether a channel of a recording is bad."""
        ...

    def gather(
        self, montage: str, rows: NDArray[np.int64], n_samples: int, out: NDArray[np.int16] | None = None, /
    ) -> NDArray[np.int16]:
        """(B, T, C) samples of windows, in ``out`` where it is given."""
        ...

    def read_ahead(self, montage: str, first_rows: NDArray[np.int64], n_rows: int | NDArray[np.int64], /) -> bool:
        """Ask the system to read stretches of rows; whether there was anything to read."""
        ...

    def shards(self, montage: str, /) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row and number of rows of each shard."""
        ...


Stores = Mapping[str, SignalStoreLike]
"""Stores by corpus."""
