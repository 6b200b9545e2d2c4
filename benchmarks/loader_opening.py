"""Opening a store of 24 million windows: time, memory of one more process, bytes per window of the index."""

import os
import shutil
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from benchmarks.loader_data import RATE_HZ, Material
from benchmarks.processes import Process, task
from benchmarks.recordings import CACHE
from benchmarks.runner import Line, Setting
from eegfm.batch import WindowIndex
from eegfm.store.addresses import read_addresses, write_addresses
from eegfm.store.index import INDEX_FILE, RecordingEntry, to_line
from eegfm.store.layout import BLOCK_ROWS, SHARD_BYTES, StoreFacts, shard_path, write_facts, write_montage
from eegfm.store.reader import SignalStore

N_RECORDINGS, QUICK_N_RECORDINGS = 70_000, 7_000
N_PER_RECORDING = 346
"""Windows of 4 s: 27 000 hours in all, as the TUH EEG corpus has."""
WINDOW = 4 * RATE_HZ
MONTAGE = Material(1, 21, 1, 1).montage
TARGET_MS, TARGET_MB, TARGET_EXPLICIT, TARGET_GRID = 100, 20, 20, 1


def opening(setting: Setting) -> Iterator[Line]:
    """Open a store as large as the TUH EEG corpus, in one new process after the other."""
    n_recordings = QUICK_N_RECORDINGS if setting.quick else N_RECORDINGS
    folder = _made(n_recordings)
    turns = []
    for _ in range((2 if setting.quick else 7) + 1):
        with Process(setting.core) as process:
            turns.append(process.run(task(_opened, folder))[0])
    turns = turns[1:]
    middle = {name: median(turn[name] for turn in turns) for name in turns[0]}
    case = f"{n_recordings * N_PER_RECORDING / 1e6:.3g}M_windows"
    samples = {"turns": turns}
    yield Line(
        f"open_{case}",
        {
            "open_ms": middle["open_ms"],
            "target": TARGET_MS,
            "reached": middle["open_ms"] <= TARGET_MS,
            "locate_ms": middle["locate_ms"],
            "first_batch_ms": middle["first_batch_ms"],
            "without_addresses_ms": _slow_ms(setting, folder),
        },
        samples,
    )
    reached = middle["rss_mb"] <= TARGET_MB
    memory = {"rss_mb": middle["rss_mb"], "target": TARGET_MB, "reached": reached, "private_mb": middle["private_mb"]}
    yield Line(f"memory_{case}", memory, samples)
    for kind, target in (("grid", TARGET_GRID), ("explicit", TARGET_EXPLICIT)):
        n_bytes = middle[f"{kind}_bytes"]
        yield Line(f"index_{kind}", {"bytes_per_window": n_bytes, "target": target, "reached": n_bytes <= target}, {})


def _opened(folder: Path, empty: Path) -> dict[str, float]:
    """Open, address a grid over all recordings, gather one batch; the interpreter has imported everything before."""
    import_module("torch")  # what it takes is not the store's

    ids = pd.Series([f"tueg:{k:06d}" for k in range(len(_lengths(folder)))])
    extents = np.full(len(ids), N_PER_RECORDING * WINDOW)
    rss_before, private_before = _memory_mb()
    times_s = [time.perf_counter()]
    store = SignalStore(folder, verify=False)  # holes have no checksums
    store.scales(MONTAGE.name)
    times_s.append(time.perf_counter())
    first_rows, recordings = store.locate(MONTAGE.name, ids, np.zeros(len(ids), dtype=np.int64), extents)
    places = recordings.astype(np.int32)
    ends = np.arange(1, len(ids) + 1) * N_PER_RECORDING
    grid = WindowIndex("tueg", MONTAGE.name, WINDOW, WINDOW, first_rows, places, places.copy(), ends)
    times_s.append(time.perf_counter())
    rss, private = _memory_mb()  # samples that are gathered are pages of the cache, which all processes share
    positions = np.random.default_rng(0).integers(0, len(grid), 256)
    store.gather(MONTAGE.name, grid.locate(positions)[0], WINDOW)
    times_s.append(time.perf_counter())
    explicit = WindowIndex("tueg", MONTAGE.name, WINDOW, WINDOW, *_some_windows(grid))
    open_ms, locate_ms, batch_ms = np.diff(times_s) * 1e3
    return {
        "open_ms": float(open_ms),
        "locate_ms": float(locate_ms),
        "first_batch_ms": float(batch_ms),
        "rss_mb": rss - rss_before,
        "private_mb": private - private_before,
        "grid_bytes": grid.n_bytes / len(grid),
        "explicit_bytes": explicit.n_bytes / len(explicit),
    }


def _slow_ms(setting: Setting, folder: Path) -> float:
    with Process(setting.core) as process:
        return float(process.run(task(_opened_slowly, folder))[0])


def _opened_slowly(folder: Path, copy: Path) -> float:
    """Milliseconds to open the store from its index alone."""
    shutil.copytree(folder, copy, dirs_exist_ok=True, symlinks=True, copy_function=_linked)
    (copy / "addresses.arrow").unlink()
    start_s = time.perf_counter()
    SignalStore(copy).scales(MONTAGE.name)
    return 1e3 * (time.perf_counter() - start_s)


def _linked(source: str, target: str) -> None:
    os.link(source, target)


def _some_windows(grid: WindowIndex) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first_rows, recordings = grid.locate(np.arange(1_000_000))
    places = recordings.astype(np.int32)
    return first_rows, places, places.copy()


def _memory_mb() -> tuple[float, float]:
    """Resident memory of this process, and what of it is its own."""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    rss, private = (int(status[key].split()[0]) / 1024 for key in ("VmRSS", "RssAnon"))
    return rss, private


def _lengths(folder: Path) -> np.ndarray:
    addresses = read_addresses(folder)
    if addresses is None:
        raise RuntimeError(f"{folder} was made without its addresses")
    return np.array(addresses[MONTAGE.name].n_samples)


def _made(n_recordings: int) -> Path:
    """A store whose shards are holes in a disk: as long as they should be, without a sample in them."""
    folder = CACHE / f"store_of_{n_recordings}"
    if not folder.exists():
        unfinished = folder.with_name(f"unfinished_{folder.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        write_facts(unfinished, StoreFacts(float(RATE_HZ), is_simulated=True))
        write_montage(unfinished, MONTAGE)
        n_samples = N_PER_RECORDING * WINDOW
        per_shard = -(-SHARD_BYTES // (2 * MONTAGE.n_channels * n_samples))
        for shard in range(-(-n_recordings // per_shard)):
            with shard_path(unfinished, MONTAGE.name, shard).open("wb") as file:
                file.truncate(2 * MONTAGE.n_channels * n_samples * min(per_shard, n_recordings - shard * per_shard))
        with (unfinished / INDEX_FILE).open("wb") as file:
            file.writelines(to_line(_entry(k, per_shard)) for k in range(n_recordings))
        write_addresses(unfinished)
        unfinished.replace(folder)
    return folder


def _entry(number: int, per_shard: int) -> RecordingEntry:
    n_samples = N_PER_RECORDING * WINDOW
    shard, place = divmod(number, per_shard)
    return RecordingEntry(
        recording_id=f"tueg:{number:06d}",
        key=f"{number:064x}",
        montage=MONTAGE.name,
        shard=shard,
        first_row=place * n_samples,
        n_samples=n_samples,
        scales_uv=[0.05 + 1e-6 * (number + c) for c in range(MONTAGE.n_channels)],
        bad_channels=[],
        block_crc32c=[number] * -(-n_samples // BLOCK_ROWS),
        facts={"session": f"s{number}", "age_years": 40.0, "sex": "F", "segment_starts": [0]},
        events=[],
    )
