"""Our loaders, and the memcpy that bounds them."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.loader_data import CORPUS, Material
from benchmarks.loader_peers import BATCH
from benchmarks.recordings import CACHE
from eegfm.batch import StoredBatch, WindowIndex
from eegfm.store.reader import SignalStore
from eegfm.training.blocks import ShuffleParams
from eegfm.training.loading.training_loader import TrainingLoader
from eegfm.training.plans.mixture_plan import MixturePlan

_FULLY = ShuffleParams()
MEMCPY = """
#include <stdint.h>
#include <string.h>
void copy(const char *from, const int64_t *starts, int64_t n, int64_t n_bytes, char *to) {
    for (int64_t k = 0; k < n; k++) memcpy(to + k * n_bytes, from + starts[k], n_bytes);
}
"""
N_DRAWN = 64
"""Different batches that the plain copies go through."""


def gathered(material: Material, n_batches: int, folder: Path) -> int:
    """Gather int16 batches of random windows into one buffer, without a loader."""
    store, rows, out, montage = opened(material), drawn_rows(material), buffer(material), material.montage.name
    for k in range(n_batches):
        store.gather(montage, rows[k % N_DRAWN], material.window, out)
    return n_batches * BATCH


def copied(material: Material, n_batches: int, folder: Path) -> int:
    """Copy the same windows with memcpy in a loop of C."""
    copy, samples, starts, out = _memcpy(), _mapped(material), _drawn_starts(material), buffer(material)
    n_bytes = out.nbytes // BATCH
    for k in range(n_batches):
        copy(samples.ctypes.data, starts[k % N_DRAWN].ctypes.data, BATCH, n_bytes, out.ctypes.data)
    return n_batches * BATCH


def loaded(material: Material, n_batches: int, folder: Path) -> int:
    """Iterate over the training loader: plan, read-ahead, prefetch thread, int16 batches with scales."""
    loader = TrainingLoader(planned(material), {CORPUS: opened(material)}, n_batches)
    return sum(len(batch["samples"]) for _, (batch,), _ in loader)


def loaded_float32(material: Material, n_batches: int, folder: Path) -> int:
    """The same, and microvolts in float32 (B, C, T) on the CPU; as everywhere here, a view of (B, T, C)."""
    signal_uv = torch.empty((BATCH, material.window, material.n_channels))
    n = 0
    for _, (batch,), *_ in TrainingLoader(planned(material), {CORPUS: opened(material)}, n_batches):
        n += len(_in_microvolts(batch, signal_uv).transpose(1, 2))
    return n


def loaded_float32_contiguous(material: Material, n_batches: int, folder: Path) -> int:
    """The same, with the samples of a channel side by side in memory, as the peers hand them out."""
    signal_uv = torch.empty((BATCH, material.n_channels, material.window))
    n = 0
    for _, (batch,), *_ in TrainingLoader(planned(material), {CORPUS: opened(material)}, n_batches):
        signal_uv.copy_(batch["samples"].transpose(1, 2)).mul_(batch["scales_uv"].unsqueeze(2))
        n += len(signal_uv)
    return n


def _in_microvolts(batch: StoredBatch, out: torch.Tensor) -> torch.Tensor:
    return out.copy_(batch["samples"]).mul_(batch["scales_uv"].unsqueeze(1))


@cache
def opened(material: Material) -> SignalStore:
    """The store, opened once per process."""
    return SignalStore(material.in_memory("eegfm"))


@cache
def planned(material: Material, shuffle: ShuffleParams = _FULLY) -> MixturePlan:
    """Endless shuffled batches of all windows, as a grid."""
    return plan_of(opened(material), material, shuffle)


def plan_of(store: SignalStore, material: Material, shuffle: ShuffleParams) -> MixturePlan:
    """A plan over the windows of a store."""
    number = np.arange(material.n_recordings)
    ids, starts = [f"{CORPUS}:{k}" for k in number], np.zeros(len(number), dtype=np.int64)
    extent = material.n_per_recording * material.window
    first_rows, scale_rows = store.locate(material.montage.name, ids, starts, extent)
    recordings = scale_rows.astype(np.int32)
    ends = (number + 1) * material.n_per_recording
    grid = WindowIndex(
        CORPUS, material.montage.name, material.window, material.window, first_rows, recordings, recordings, ends
    )
    return MixturePlan({CORPUS: [grid]}, {CORPUS: 1.0}, BATCH, seed=0, shuffle=shuffle)


@cache
def drawn_rows(material: Material) -> list[NDArray[np.int64]]:
    """First rows of batches of random windows."""
    plan = planned(material)
    return [draw.group.locate(draw.positions)[0] for k in range(N_DRAWN) for draw in plan.step(k)]


@cache
def buffer(material: Material) -> NDArray[np.int16]:
    """Where batches are copied to."""
    return np.zeros((BATCH, material.window, material.n_channels), dtype=np.int16)


@cache
def _drawn_starts(material: Material) -> list[NDArray[np.int64]]:
    return [rows * 2 * material.n_channels for rows in drawn_rows(material)]


@cache
def _mapped(material: Material) -> NDArray[np.int16]:
    (path,) = (material.made("eegfm") / material.montage.name).glob("shard_*.i16")
    return np.memmap(path, dtype=np.int16, mode="r")


@cache
def _memcpy() -> Callable[..., None]:
    compiler = shutil.which("cc")
    if compiler is None:
        raise ImportError("no C compiler: the limit is not measured")
    library = CACHE / "memcpy.so"
    command = [compiler, "-O3", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
    subprocess.run(command, input=MEMCPY.encode(), check=True)
    copy = ctypes.CDLL(str(library)).copy
    copy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    copy.restype = None
    return copy
