"""Ask the operating system to read samples before they are gathered."""

import os
import weakref
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from eegfm.store.mapped_shards import MappedShards

PIECE_BYTES = 128 << 10
"""Bytes per request. Linux cuts a request to the device's read-ahead size, which is 128 KiB by default."""
N_PROBES = 4
STRETCHES_PER_PROBE = 64
N_BLIND = 16
N_UNSEEN = 16


class ReadAhead:
    """Requests to read stretches of rows. They cost almost nothing if the rows are in the page cache.

    A request costs about as much as copying a cached window. A few stretches are therefore looked up first. Only if one
    of them is not in the cache, requests are made for all stretches of this call and of the next ``N_BLIND`` calls.

    Args:
        shards: The mapped shards.
    """

    def __init__(self, shards: MappedShards) -> None:
        self._shards = shards
        self._first_rows = shards.first_rows.tolist()
        self._files = [os.open(path, os.O_RDONLY) for path in shards.paths]
        self._n_blind = 0
        self._n_unseen = 0
        weakref.finalize(self, _close, self._files)

    def ask(self, first_rows: NDArray[np.int64], n_rows: int | NDArray[np.int64]) -> bool:
        """Request stretches. Returns before they are read.

        Args:
            first_rows: (E,) first rows.
            n_rows: Length of the stretches, or (E,) length of each.

        Returns:
            Whether requests were made.
        """
        if not len(first_rows) or not hasattr(os, "posix_fadvise"):
            return False
        n_probes = max(N_PROBES, len(first_rows) // STRETCHES_PER_PROBE)
        if self._n_blind == 0 and self._are_cached(first_rows[:: -(-len(first_rows) // n_probes)]):
            return False
        self._n_blind = self._n_blind - 1 if self._n_blind else N_BLIND
        places = self._shards.places(first_rows, n_rows)
        starts = (first_rows - self._shards.first_rows[places]) * self._shards.row_bytes
        n_bytes = np.broadcast_to(np.asarray(n_rows, dtype=np.int64) * self._shards.row_bytes, starts.shape)
        for place, start, length in zip(*(c.tolist() for c in pieces(places, starts, n_bytes)), strict=True):
            os.posix_fadvise(self._files[place], start, length, os.POSIX_FADV_WILLNEED)
        return True

    def ask_in_passing(self, first_rows: NDArray[np.int64], n_rows: int) -> None:
        """Request the stretches of the next copy. While all rows are in the cache, only every ``N_UNSEEN``-th call
        looks.

        A look costs as much as copying a dozen windows.
        """
        if self._n_unseen:
            self._n_unseen -= 1
        elif not self.ask(first_rows, n_rows):
            self._n_unseen = N_UNSEEN

    def _are_cached(self, rows: NDArray[np.int64]) -> bool:
        """True if these rows are in the page cache."""
        if not hasattr(os, "RWF_NOWAIT"):
            return False
        buffer = [bytearray(1)]
        try:
            for row in rows.tolist():
                place = max(bisect_right(self._first_rows, row) - 1, 0)
                start = max(row - self._first_rows[place], 0) * self._shards.row_bytes
                os.preadv(self._files[place], buffer, start, os.RWF_NOWAIT)
        except OSError:  # not in the cache, or the file system cannot tell
            return False
        return True


def pieces(
    places: NDArray[np.int64], starts: NDArray[np.int64], n_bytes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Sort stretches, unite those that touch or overlap, cut them into pieces of at most ``PIECE_BYTES``.

    Args:
        places: (E,) number of each stretch's file.
        starts: (E,) first byte.
        n_bytes: (E,) length.

    Returns:
        (P,) places, starts and lengths in order of file and byte.
    """
    order = np.lexsort((starts, places))
    places, starts = places[order], starts[order]
    stops = starts + n_bytes[order]
    # Files lie far apart on one axis, so no stretch reaches from one file into the next.
    far = int(stops.max()) + 1
    reach = np.maximum.accumulate(places * far + stops)
    is_first = np.concatenate([[True], places[1:] * far + starts[1:] > reach[:-1]])
    is_last = np.concatenate([is_first[1:], [True]])
    places, starts, stops = places[is_first], starts[is_first], reach[is_last] - places[is_first] * far
    n_pieces = -(-(stops - starts) // PIECE_BYTES)
    number = np.arange(n_pieces.sum()) - np.repeat(n_pieces.cumsum() - n_pieces, n_pieces)
    firsts = np.repeat(starts, n_pieces) + number * PIECE_BYTES
    return np.repeat(places, n_pieces), firsts, np.minimum(np.repeat(stops, n_pieces) - firsts, PIECE_BYTES)


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)
