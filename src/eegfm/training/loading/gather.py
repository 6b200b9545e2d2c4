"""One micro-batch from a store, or from signals on the device."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eegfm.batch import Pairs, StoredBatch, WindowIndex
from eegfm.nn.device import sent
from eegfm.store.reader import SignalStore
from eegfm.training.loading.buffers import Buffers
from eegfm.training.loading.residency import gather_on_device
from eegfm.training.plans.plan import Draw


def gather(
    draw: Draw, store: SignalStore, buffers: Buffers | None = None, signals: torch.Tensor | None = None
) -> StoredBatch:
    """Read one micro-batch in one call.

    Args:
        draw: The windows.
        store: Store of their corpus.
        buffers: Buffers for the batch; None for new memory.
        signals: Signals of their montage on the device; the samples of the batch are then there too.
    """
    group = draw.group
    run, nth = group.runs_of(draw.positions)
    rows, scale_rows = group.first_rows[run] + nth * group.stride, group.recordings[run].astype(np.int64)
    batch: StoredBatch = {
        "samples": _samples(group, rows, store, buffers) if signals is None else _resident(group, rows, signals),
        "scales_uv": torch.from_numpy(store.scales(group.montage)[scale_rows]),
        "recording": torch.from_numpy(scale_rows),
        "person": torch.from_numpy(group.persons[run].astype(np.int64)),
        "first_row": torch.from_numpy(rows),
        "corpus": group.corpus,
        "montage": group.montage,
    }
    is_bad = store.is_bad(group.montage)[scale_rows]
    if is_bad.any():
        batch["is_bad"] = is_bad
    if group.targets:
        batch["targets"] = {name: _target(values[run]) for name, values in group.targets.items()}
    if draw.likeness is not None:
        alike = draw.likeness
        block = None if alike.block is None else torch.from_numpy(alike.block)
        columns = torch.from_numpy(alike.group), torch.from_numpy(alike.place)
        batch["pairs"] = Pairs(*columns, alike.reach, block, alike.pairing)
    return batch


def _target(values: NDArray[Any]) -> torch.Tensor:
    """Numbers of classes as losses want them; floats as they are."""
    return torch.from_numpy(values if values.dtype == np.float32 else values.astype(np.int64))


def _samples(group: WindowIndex, rows: NDArray[np.int64], store: SignalStore, buffers: Buffers | None) -> torch.Tensor:
    if buffers is None:
        return torch.from_numpy(store.gather(group.montage, rows, group.n_samples))
    samples = buffers.take((len(rows), group.n_samples, store.montages[group.montage].n_channels))
    store.gather(group.montage, rows, group.n_samples, samples.numpy())
    return samples


def _resident(group: WindowIndex, rows: NDArray[np.int64], signals: torch.Tensor) -> torch.Tensor:
    return gather_on_device(signals, sent(torch.from_numpy(rows), signals.device), group.n_samples)
