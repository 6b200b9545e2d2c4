"""Keep all signals on the device if they fit. Then no batch is copied to it."""

import logging
import os
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from eegfm.errors import ConfigError
from eegfm.store.reader import SignalStore
from eegfm.store.stores import Stores
from eegfm.training.loading.buffers import Buffers, PinnedBuffers, ReusedBuffers
from eegfm.training.plans.plan import Groups

_log = logging.getLogger(__name__)

DeviceSignals = Mapping[tuple[str, str], Tensor]
"""By corpus and montage, (N, C) int16 rows on the device, numbered as in the store."""
_CHUNK_BYTES = 64 << 20


def signals_on_device(
    groups: Groups,
    stores: Stores,
    device: torch.device,
    residency: Literal["auto", "disk", "device"],
    device_memory_ratio: float,
) -> DeviceSignals:
    """Copy the signals that windows are drawn from to the device.

    Args:
        groups: Windows by corpus.
        stores: Stores by corpus.
        device: Device of the training.
        residency: ``disk`` leaves all where they are; ``device`` copies them; ``auto`` copies them to an accelerator
            on which they fit.
        device_memory_ratio: Largest share of the device's free memory that they may take.

    Returns:
        The signals of all montages of the groups, or none.

    Raises:
        ConfigError: They are to be on the device and do not fit, or it has no memory of its own.
    """
    if device.type == "mps" and residency == "device":
        raise ConfigError(
            "loader.residency is device, and the training runs on mps, which shares its memory with the CPU and would "
            "gain nothing; set loader.residency to auto or disk"
        )
    if residency == "disk" or (residency == "auto" and device.type in ("cpu", "mps")):
        return {}
    places = sorted({(group.corpus, group.montage) for corpus in groups.values() for group in corpus})
    n_rows = {place: _n_rows(stores[place[0]], place[1]) for place in places}
    n_channels = {(corpus, montage): stores[corpus].montages[montage].n_channels for corpus, montage in places}
    n_bytes = sum(2 * n_rows[place] * n_channels[place] for place in places)
    limit = device_memory_ratio * _free_bytes(device)
    found = f"signals of {n_bytes / 1e9:.3g} GB, room for {limit / 1e9:.3g} GB on {device}"
    if n_bytes > limit:
        if residency == "device":
            raise ConfigError(f"{found}; set loader.residency to disk or raise loader.device_memory_ratio")
        _log.info("%s: they stay on the disk", found)
        return {}
    _log.info("%s: they are copied there", found)
    return {place: _copied(stores[place[0]], place[1], n_channels[place], n_rows[place], device) for place in places}


def gather_on_device(signals: Tensor, rows: Tensor, n_samples: int) -> Tensor:
    """Copy windows out of signals on the device.

    Args:
        signals: (N, C) rows on the device.
        rows: (B,) first rows on the device; those of ``WindowIndex.locate`` lie inside.
        n_samples: Window length T.

    Returns:
        (B, T, C) int16 on the device.
    """
    n_rows, n_channels = signals.shape
    overlapping = signals.as_strided((n_rows - n_samples + 1, n_samples * n_channels), (n_channels, 1))
    return overlapping.index_select(0, rows).view(len(rows), n_samples, n_channels)


def _n_rows(store: SignalStore, montage: str) -> int:
    first_rows, n_rows = store.shards(montage)
    return int(first_rows[-1] + n_rows[-1])


def _copied(store: SignalStore, montage: str, n_channels: int, n_rows: int, device: torch.device) -> Tensor:
    """Copy shard by shard in large pieces, the next of which is read meanwhile."""
    signals = torch.zeros((n_rows, n_channels), dtype=torch.int16, device=device)
    buffers: Buffers = PinnedBuffers() if device.type == "cuda" else ReusedBuffers(n_kept=2)
    n_most = max(_CHUNK_BYTES // (2 * n_channels), 1)
    pieces = [
        (first, min(n_most, int(start + n) - first))
        for start, n in zip(*store.shards(montage), strict=True)
        for first in range(int(start), int(start + n), n_most)
    ]
    for (first, n), following in zip(pieces, [*pieces[1:], None], strict=True):
        if following is not None:
            store.read_ahead(montage, np.array([following[0]]), following[1])
        piece = buffers.take((1, n, n_channels))
        store.gather(montage, np.array([first]), n, piece.numpy())
        signals[first : first + n].copy_(piece[0], non_blocking=True)
    return signals


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
