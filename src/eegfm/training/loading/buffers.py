"""Reusable batch buffers. Allocating fresh memory costs half as much as the copy itself."""

import sys
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eegfm.batch import Pairs


class Buffers(Protocol):
    """Buffers for gathered batches."""

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Int16 memory of this shape without another user, with leftover contents."""
        ...


class PinnedBuffers:
    """Memory that a device copies from by itself, from torch's pool, which knows when each copy has ended."""

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Int16 memory of this shape without another user."""
        return torch.empty(shape, dtype=torch.int16, pin_memory=True)


def pinned(value: Any) -> Any:
    """Return a batch or a part of one with pinned tensors on the CPU: from elsewhere, CUDA copies while all wait."""
    if isinstance(value, Tensor):
        return value if value.is_cuda else value.pin_memory()
    if isinstance(value, dict):
        return {name: pinned(part) for name, part in value.items()}
    return Pairs(*map(pinned, value)) if isinstance(value, Pairs) else value


class ReusedBuffers:
    """Memory of the host. A buffer is handed out again when its tensor, and all that shares its memory, is gone.

    A kept batch keeps its buffer. There is no ring that would be overwritten.

    Args:
        n_kept: Largest number of buffers of one shape that are kept; further ones are made for one use.
    """

    def __init__(self, n_kept: int) -> None:
        self._n_kept = n_kept
        self._kept: dict[tuple[int, ...], list[NDArray[np.int16]]] = {}
        self._n_references = _n_references([np.empty(0, dtype=np.int16)], 0)

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Int16 memory of this shape without another user."""
        kept = self._kept.setdefault(shape, [])
        for k in range(len(kept)):
            if _n_references(kept, k) == self._n_references:
                return torch.from_numpy(kept[k])
        fresh = np.empty(shape, dtype=np.int16)
        if len(kept) < self._n_kept:
            kept.append(fresh)
        return torch.from_numpy(fresh)


def _n_references(buffers: list[NDArray[np.int16]], k: int) -> int:
    """References to a buffer as seen from here; a tensor on its memory holds one more."""
    return sys.getrefcount(buffers[k])
