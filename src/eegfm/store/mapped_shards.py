"""Map all shards of one montage into one range of addresses, so that one call gathers a batch from all of them."""

import ctypes
import math
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import StoreError
from eegfm.store.layout import SAMPLE_DTYPE

if TYPE_CHECKING:
    from torch import Tensor

_MAP_FIXED = 0x10  # the value on Linux, macOS and the BSDs; Python's module mmap has no name for it


class MappedShards:
    """Shards mapped side by side; a row is one time point of all channels.

    Rows are numbered through the whole range. A shard begins at a multiple both of a memory page and of a row. Between
    two shards lie a few rows, at least one, that belong to no shard and are never read.

    Args:
        paths: Files of the shards, in order.
        n_channels: Samples per row.

    Raises:
        StoreError: A shard is missing, or the system has no room for the range.
    """

    def __init__(self, paths: Sequence[Path], n_channels: int) -> None:
        self.paths = list(paths)
        self.n_channels = n_channels
        self.row_bytes = SAMPLE_DTYPE.itemsize * n_channels
        self.n_rows = np.array([_size(path) // self.row_bytes for path in paths], dtype=np.int64)
        unit = math.lcm(mmap.PAGESIZE, self.row_bytes)
        spans = (self.n_rows * self.row_bytes // unit + 1) * unit
        ends = np.cumsum(spans)
        self.first_rows: NDArray[np.int64] = (ends - spans) // self.row_bytes
        self._samples = _map(self.paths, self.first_rows, self.n_rows, (int(ends[-1]) // self.row_bytes, n_channels))
        self._tensors: dict[int, Tensor] = {}  # by window length; making one takes as long as copying ten windows

    def rows(self, first: int, n: int) -> NDArray[np.int16]:
        """(n, C) rows of one shard, mapped and read-only."""
        samples = self._samples[first : first + n]
        samples.flags.writeable = False
        return samples

    def places(self, first_rows: NDArray[np.int64], n_rows: int | NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the shard that holds each stretch of rows.

        Raises:
            StoreError: A stretch is not inside one shard.
        """
        if len(self.paths) == 1:  # the cost of numpy's calls is visible in the time of a batch
            places = np.zeros(len(first_rows), dtype=np.int64)
            is_inside = not len(first_rows) or (first_rows.min() >= 0 and (first_rows + n_rows).max() <= self.n_rows[0])
        else:
            places = self.first_rows.searchsorted(first_rows, side="right") - 1
            inside = first_rows - self.first_rows[places]
            is_inside = bool(((inside >= 0) & (inside + n_rows <= self.n_rows[places])).all())
        if not is_inside:
            raise StoreError(
                f"{self.paths[0].parent}: windows of {np.max(n_rows)} samples reach beyond their shard; "
                "cut the windows again with: kedro run --tags=data"
            )
        return places

    def gather(
        self, rows: NDArray[np.int64], n_samples: int, out: NDArray[np.int16] | None = None
    ) -> NDArray[np.int16]:
        """Copy windows: one index on overlapping rows, no Python per window.

        numpy and torch both copy at the speed of memcpy. Only torch can copy into existing memory, so torch is needed
        for ``out`` only.

        Args:
            rows: (B,) first rows.
            n_samples: Window length T.
            out: (B, T, C) target of the copy, C order.

        Returns:
            (B, T, C), which is ``out`` if given.

        Raises:
            StoreError: A window is not inside one shard.
        """
        self.places(rows, n_samples)
        shape = (len(rows), n_samples, self.n_channels)
        if not len(rows):
            return np.empty(shape, dtype=np.int16) if out is None else out
        if out is None:
            return np.asarray(_overlapping(self._samples, n_samples)[rows]).reshape(shape)
        import torch

        is_fit = out.shape == shape and out.dtype == np.int16 and out.flags.c_contiguous
        assert is_fit, f"a buffer of {shape} int16"
        index = torch.from_numpy(np.array(rows, dtype=np.int64))
        torch.index_select(self._tensor(n_samples), 0, index, out=torch.from_numpy(out.reshape(len(rows), -1)))
        return out

    def _tensor(self, n_samples: int) -> "Tensor":
        import torch

        if n_samples not in self._tensors:
            self._tensors[n_samples] = torch.from_numpy(_overlapping(self._samples, n_samples))
        return self._tensors[n_samples]


class _Addresses:
    """Presents mapped memory to numpy as writable, because torch warns of read-only memory.

    Args:
        mapped: Keeps the memory mapped.
        shape: Shape of the array.
    """

    def __init__(self, mapped: mmap.mmap, shape: tuple[int, int]) -> None:
        self._mapped = mapped
        self.__array_interface__: dict[str, Any] = {
            "shape": shape,
            "typestr": SAMPLE_DTYPE.str,
            "data": (np.frombuffer(mapped, dtype=np.uint8).ctypes.data, False),
            "version": 3,
        }


def _map(
    paths: list[Path], first_rows: NDArray[np.int64], n_rows: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.int16]:
    """Reserve a range of addresses and map the files into it. The range is released with the array."""
    row_bytes = SAMPLE_DTYPE.itemsize * shape[1]
    try:
        reserved = mmap.mmap(-1, shape[0] * row_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON, prot=0)
        addresses = _Addresses(reserved, shape)
        start, _ = addresses.__array_interface__["data"]
        for path, first_row, n in zip(paths, first_rows.tolist(), n_rows.tolist(), strict=True):
            if n:
                with path.open("rb") as file:
                    _map_file(start + first_row * row_bytes, n * row_bytes, file.fileno())
    except OSError as error:
        raise StoreError(f"{paths[0].parent}: shards cannot be mapped ({error.strerror}); see ulimit -v") from error
    return np.asarray(addresses)


def _overlapping(samples: NDArray[np.int16], n_samples: int) -> NDArray[np.int16]:
    """(N - T + 1, T * C) view on (N, C): all windows of a length, in the same memory."""
    n_rows, n_channels = samples.shape
    shape = (n_rows - n_samples + 1, n_samples * n_channels)
    return np.lib.stride_tricks.as_strided(samples, shape, strides=(samples.strides[0], samples.strides[1]))


def _map_file(address: int, n_bytes: int, file: int) -> None:
    """Map the beginning of a file at an address, read-only. This replaces the earlier mapping of the address."""
    system = ctypes.CDLL(None, use_errno=True)
    system.mmap.restype = ctypes.c_void_p
    arguments = (
        ctypes.c_void_p(address),
        ctypes.c_size_t(n_bytes),
        mmap.PROT_READ,
        mmap.MAP_SHARED | _MAP_FIXED,
        file,
        ctypes.c_ssize_t(0),
    )
    if system.mmap(*arguments) != address:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _size(path: Path) -> int:
    if not path.is_file():
        raise StoreError(f"{path}: shard is missing; convert its recordings again with: kedro run --pipelines=ingest")
    return path.stat().st_size
