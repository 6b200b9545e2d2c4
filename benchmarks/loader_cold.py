"""Batches whose samples are on disk. The page cache is emptied before every turn, and this is checked."""

import ctypes
import mmap
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.loader_data import CORPUS, Material
from benchmarks.loader_ours import plan_of
from benchmarks.loader_peers import BATCH, peer_windows
from benchmarks.processes import Task, in_turns, task
from benchmarks.runner import Line, Setting
from eegfm.store.reader import SignalStore
from eegfm.training.blocks import ShuffleParams
from eegfm.training.loading.training_loader import TrainingLoader

RUNS = ShuffleParams(run_windows=16, pool_windows=8192)
MAX_CACHED_RATIO = 0.01
PEERS_KINDS = {"braindecode_lazy": "fif", "braindecode_lazy_edf": "edf"}
TARGET_RATIO, TARGET_SHARE = 12, 0.5


class StillCachedError(Exception):
    """The page cache cannot be emptied here."""


def cold(material: Material, quick_material: Material, setting: Setting) -> Iterator[Line]:
    """Compare the first batches after the page cache was emptied, and a whole pass with the disk's own speed."""
    material = quick_material if setting.quick else material
    n_batches = 2 if setting.quick else 8
    tasks: dict[str, Task] = {
        "shuffled": task(_timed, "eegfm", material, partial(_ours, material, ShuffleParams(), n_batches)),
        "runs": task(_timed, "eegfm", material, partial(_ours, material, RUNS, material.n_windows // BATCH)),
        "disk": task(_timed, "eegfm", material, partial(_read_through, material)),
        "verify": task(_timed, "eegfm", material, partial(_verify, material)),
    }
    for peer, kind in PEERS_KINDS.items():
        tasks[peer] = task(_timed, kind, material, partial(peer_windows, peer, material, n_batches))
    found = in_turns(tasks, setting.core, 2 if setting.quick else 7)
    speeds = {name: [value for value, _ in turns] for name, turns in found.items()}
    reason = next((value for turn in speeds.values() for value in turn if isinstance(value, str)), None)
    if reason is not None:
        yield Line(f"cold_{material.name}_i16", {"skipped": reason}, {})
        return
    for peer in PEERS_KINDS:
        if peer not in speeds:
            yield Line(
                f"cold_{material.name}_i16", {"peer": peer, "not_installed": "run benchmarks/setup_peers.sh"}, {}
            )
            continue
        ratio = median(speeds["shuffled"]) / median(speeds[peer])
        values = {"peer": peer, "ratio": ratio, "target": TARGET_RATIO, "reached": ratio >= TARGET_RATIO}
        rates = {"ours_per_s": median(speeds["shuffled"]), "peer_per_s": median(speeds[peer])}
        yield Line(f"cold_{material.name}_i16", values | rates, {"ours": speeds["shuffled"], "peer": speeds[peer]})
    yield from _beside_disk(material, speeds)


def _beside_disk(material: Material, speeds: dict[str, list[float]]) -> Iterator[Line]:
    gigabytes = 2e-9 * material.n_channels * material.window
    for name, line in (("runs", "runs_of_16"), ("verify", "verify")):
        share = median(speeds[name]) / median(speeds["disk"])
        values = {"limit_share": share, "target": TARGET_SHARE, "reached": share >= TARGET_SHARE}
        rates = {"gb_per_s": gigabytes * median(speeds[name]), "disk_gb_per_s": gigabytes * median(speeds["disk"])}
        yield Line(f"cold_{material.name}_{line}", values | rates, {"ours": speeds[name], "disk": speeds["disk"]})


def _timed(kind: str, material: Material, read: Task, folder: Path) -> float | str:
    """Windows per second of wall time after the files of a format have left the page cache, or why that cannot be."""
    paths = material.files(kind)
    try:
        for path in paths:
            empty_cache(path)
    except StillCachedError as error:
        return str(error)
    start_s = time.perf_counter()
    n: int = read(folder)
    return n / (time.perf_counter() - start_s)


def _verify(material: Material, folder: Path) -> int:
    """What training does before its first step: compare all samples with their checksums."""
    SignalStore(material.made("eegfm")).verify(material.montage.name, np.arange(material.n_recordings))
    return material.n_windows


def _ours(material: Material, shuffle: ShuffleParams, n_batches: int, folder: Path) -> int:
    store = SignalStore(material.made("eegfm"), verify=False)  # compared before training, see _verify
    loader = TrainingLoader(plan_of(store, material, shuffle), {CORPUS: store}, n_batches)
    return sum(len(batch["samples"]) for _, (batch,), _ in loader)


def _read_through(material: Material, folder: Path) -> int:
    buffer = bytearray(1 << 20)
    for path in material.files("eegfm"):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return material.n_windows


def empty_cache(path: Path) -> None:
    """Drop a file from the page cache.

    Raises:
        StillCachedError: The system cannot, or did not.
    """
    if not hasattr(os, "posix_fadvise"):
        raise StillCachedError("this system has no posix_fadvise")
    with path.open("rb") as file:
        os.fsync(file.fileno())  # pages that are not written yet stay
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    share = cached_ratio(path)
    if share > MAX_CACHED_RATIO:
        raise StillCachedError(f"{share:.0%} of {path.name} stayed in the page cache")


def cached_ratio(path: Path) -> float:
    """Share of a file's pages that are in the page cache, by mincore."""
    n_bytes = path.stat().st_size
    if not n_bytes:
        return 0.0
    with path.open("rb") as file, mmap.mmap(file.fileno(), n_bytes, prot=mmap.PROT_READ) as mapped:
        view = np.frombuffer(mapped, dtype=np.uint8)
        pages = np.zeros(-(-n_bytes // mmap.PAGESIZE), dtype=np.uint8)
        system = ctypes.CDLL(None, use_errno=True)
        arguments = (ctypes.c_void_p(view.ctypes.data), ctypes.c_size_t(n_bytes), ctypes.c_void_p(pages.ctypes.data))
        failed = system.mincore(*arguments)
        del view
    if failed:
        raise StillCachedError(f"mincore: {os.strerror(ctypes.get_errno())}")
    return float((pages & 1).mean())
