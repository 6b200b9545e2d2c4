"""Compare samples with their checksums when they are read: each block once per process, before its first use."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from eegfm.store.checksums import checksum
from eegfm.store.damage import damage_error
from eegfm.store.layout import BLOCK_ROWS, n_blocks
from eegfm.store.mapped_shards import MappedShards
from eegfm.store.read_ahead import ReadAhead

_log = logging.getLogger(__name__)

CELL_SHIFT = 12
"""Rows are looked up in cells of ``2 ** CELL_SHIFT`` rows. Finding the block of each window would take ten times as
long."""
AHEAD_BYTES = 64 << 20
BAR_FROM_BLOCKS = 1000

Rows = NDArray[np.int64]


class BlockGuard:
    """Compares the blocks of one montage with their checksums, before their first use.

    A block is pending if it was not compared yet, or is damaged. A cell is open while a pending block reaches into it
    or into the next cell. A window therefore costs one look, at the cell that it starts in, and nothing once no block
    is pending.

    Changes to samples after their block was compared are not noticed by the same process.

    Args:
        folder: The store, for messages.
        shards: The mapped shards.
        read_ahead: Asks the system for blocks before they are compared.
        ids: (R,) ids of the recordings.
        first_rows: (R,) first row of each recording in the shards.
        n_samples: (R,) number of rows of each recording.
        block_crc32c: (K,) checksums of the blocks of all recordings, one recording after the other.
    """

    def __init__(
        self,
        folder: Path,
        shards: MappedShards,
        read_ahead: ReadAhead,
        ids: "pd.Index[str]",
        first_rows: Rows,
        n_samples: Rows,
        block_crc32c: NDArray[np.uint32],
    ) -> None:
        self._folder, self._shards, self._read_ahead, self._ids = folder, shards, read_ahead, ids
        n_each = n_blocks(n_samples)
        assert n_each.sum() == len(block_crc32c), "one checksum per block"
        number = np.arange(n_each.sum()) - np.repeat(n_each.cumsum() - n_each, n_each)
        starts = np.repeat(first_rows, n_each) + number * BLOCK_ROWS
        order = starts.argsort(kind="stable")
        self._recordings = np.repeat(np.arange(len(ids), dtype=np.int32), n_each)[order]
        self._starts: Rows = starts[order]
        self._stops: Rows = np.minimum(starts + BLOCK_ROWS, np.repeat(first_rows + n_samples, n_each))[order]
        self._crcs = block_crc32c[order]
        self._is_pending = np.ones(len(order), dtype=np.bool_)
        self._is_damaged = np.zeros(len(order), dtype=np.bool_)
        self._n_pending = len(order)
        # Cells without a block stay open, because no window starts in them.
        self._is_open = np.ones((int(self._stops.max(initial=1)) - 1 >> CELL_SHIFT) + 1, dtype=np.bool_)
        self._lock = threading.Lock()

    def check(self, rows: Rows, n_samples: int) -> None:
        """Compare all pending blocks near these windows.

        Args:
            rows: (B,) first rows.
            n_samples: Length of the windows.

        Raises:
            StoreError: Blocks differ from their checksums.
        """
        if not self._n_pending or not len(rows):
            return
        is_open = self._is_open.take(rows >> CELL_SHIFT, mode="clip")
        for further in range(1 << CELL_SHIFT, n_samples - 1, 1 << CELL_SHIFT):  # in windows longer than a cell
            is_open |= self._is_open.take((rows + further) >> CELL_SHIFT, mode="clip")
        if is_open.any():
            self._compare(rows[is_open], rows[is_open] + n_samples)

    def check_all(self, first_rows: Rows, n_rows: Rows) -> None:
        """Compare all pending blocks under stretches of rows, in the order of the disk.

        Args:
            first_rows: (E,) first rows.
            n_rows: (E,) length of each stretch.

        Raises:
            StoreError: Blocks differ from their checksums; all of them are named.
        """
        if len(first_rows):
            self._compare(first_rows, first_rows + n_rows)

    def _compare(self, starts: Rows, stops: Rows) -> None:
        """Compare pending blocks in the cells of stretches. Only damage in the stretches themselves is an error."""
        with self._lock:
            near = self._under_cells(starts >> CELL_SHIFT, ((stops - 1) >> CELL_SHIFT) + 1)
            near = near[self._is_pending[near] & ~self._is_damaged[near]]
            damaged = [block for block in self._in_turn(near) if not self._is_intact(block)]
            self._is_damaged[damaged] = True
            self._is_pending[near] = self._is_damaged[near]
            self._n_pending -= len(near) - len(damaged)
            self._close(near)
        read = self._under(starts, stops)
        found = read[self._is_damaged[read]]
        if len(found):
            raise damage_error(self._folder, self._ids[self._recordings[found]], len(found), len(read))
        if damaged:
            beside = damage_error(self._folder, self._ids[self._recordings[damaged]], len(damaged), len(near))
            _log.warning("%s (found beside what was read)", beside)

    def _under(self, starts: Rows, stops: Rows) -> Rows:
        """Numbers of the blocks that share rows with stretches, each block once."""
        low = self._stops.searchsorted(starts, side="right")
        high = self._starts.searchsorted(stops, side="left")
        n_each = np.maximum(high - low, 0)
        return np.unique(np.repeat(low - (n_each.cumsum() - n_each), n_each) + np.arange(n_each.sum()))

    def _under_cells(self, first: Rows, last: Rows) -> Rows:
        return self._under(first << CELL_SHIFT, (last + 1) << CELL_SHIFT)

    def _close(self, blocks: Rows) -> None:
        """Close the cells of compared blocks, except cells that a pending block reaches into."""
        first, last = self._cells_of(blocks)
        self._set(first, last, is_open=False)
        beside = np.concatenate([self._under_cells(first, first + 1), self._under_cells(last, last + 1)])
        self._set(*self._cells_of(beside[self._is_pending[beside]]), is_open=True)

    def _cells_of(self, blocks: Rows) -> tuple[Rows, Rows]:
        """First and last cell that a pending block keeps open."""
        first = (self._starts[blocks] >> CELL_SHIFT) - 1
        return np.maximum(first, 0), (self._stops[blocks] - 1) >> CELL_SHIFT

    def _set(self, first: Rows, last: Rows, *, is_open: bool) -> None:
        for a, b in zip(first.tolist(), last.tolist(), strict=True):
            self._is_open[a : b + 1] = is_open

    def _in_turn(self, blocks: Rows) -> Iterator[int]:
        """The blocks in the order of the disk, with read-ahead."""
        n_ahead = max(AHEAD_BYTES // (BLOCK_ROWS * self._shards.row_bytes), 1)
        bar = tqdm(total=len(blocks), desc="Verifying samples", unit="block", disable=_is_quiet(len(blocks)))
        for top in range(0, len(blocks), n_ahead):
            if top == 0:
                self._ask(blocks[:n_ahead])
            self._ask(blocks[top + n_ahead : top + 2 * n_ahead])
            for block in blocks[top : top + n_ahead].tolist():
                yield block
                bar.update()
        bar.close()

    def _ask(self, blocks: Rows) -> None:
        self._read_ahead.ask(self._starts[blocks], self._stops[blocks] - self._starts[blocks])

    def _is_intact(self, block: int) -> bool:
        start, stop = int(self._starts[block]), int(self._stops[block])
        return checksum(self._shards.rows(start, stop - start)) == int(self._crcs[block])


def _is_quiet(n_blocks: int) -> bool | None:
    """Value of tqdm's ``disable``: no bar for the few blocks of a batch, else a bar on a terminal only."""
    return None if n_blocks >= BAR_FROM_BLOCKS else True
