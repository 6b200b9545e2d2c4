"""Growth of time with the number of recordings, and of memory with their number and length."""

import shutil
import statistics
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.chains import SIGNAL, ingest_params
from benchmarks.processes import Process, task
from benchmarks.recordings import CACHE, TEN_TWENTY, Recipe, clinical, made
from benchmarks.runner import Line, Setting
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.jobs.ingest.ingest import ingest
from eegfm.signal.edf.reader import EdfReader

TINY = Recipe("aaaaaaaa_s001_t000", "edf", tuple(f"EEG {name}-REF" for name in TEN_TWENTY[:10]), 250, 5)
SAMPLE_EVERY_S = 0.1


class _Look(NamedTuple):
    """Memory of a run at one moment, and how far the run was by then."""

    n_stored_bytes: int
    rss_mb: float


def linear(setting: Setting) -> Iterator[Line]:
    """CPU time per tiny recording for growing corpora, and of a second run that finds nothing to do."""
    for n in (30, 100) if setting.quick else (100, 300, 1000):
        root = _corpus(n)
        first, again = [], []
        for _ in range(1 if setting.quick else 3):
            with Process(setting.core) as process:
                process.run(task(_ingest_tiny, _corpus(10), 1, 1))  # libraries load
                first.append(process.run(task(_ingest_tiny, root, 1, 1))[1])
                again.append(process.run(task(_ingest_tiny, root, 1, 2))[1])
        once_ms = statistics.median(first) / n * 1e3
        again_ms = (statistics.median(again) - statistics.median(first)) / n * 1e3
        values = {"recordings": n, "ms_per_recording": once_ms, "ms_per_recording_again": again_ms}
        yield Line("linear", values, {"first_s": first, "first_and_again_s": again})


def memory(setting: Setting) -> Iterator[Line]:
    """Growth of the memory of all processes over a run of many recordings; peak over one long recording."""
    yield _slope(200 if setting.quick else 2000, setting)
    for duration_s in (60, 300) if setting.quick else (1800, 4 * 3600):
        recipe = clinical(duration_s)
        made(recipe)
        with Process(setting.core) as process:
            (peak_mb, block_mb), _ = process.run(task(_peak_mb, recipe))
        values = {"recording_s": duration_s, "peak_mb": peak_mb, "peak_over_largest_block": peak_mb / block_mb}
        yield Line("memory", values, {"largest_block_mb": block_mb})


def _slope(n: int, setting: Setting) -> Line:
    """Line through the memory of committer and workers over the recordings stored, after the first fifth."""
    root = _corpus(n)
    looks = []
    folder = CACHE / "memory_store"
    shutil.rmtree(folder, ignore_errors=True)
    with Process(setting.core) as process:
        process.start(task(_ingest_into, root, 2, folder))
        while not process.is_done:
            looks.append(_Look(_stored_bytes(folder), sum(_rss_mb(pid) for pid in _family(process.pid))))
            time.sleep(SAMPLE_EVERY_S)
        process.result()
    total = _stored_bytes(folder)
    shutil.rmtree(folder)
    # At the end the tables are made and the workers are gone: neither is growth.
    steady = [look for look in looks if 0.2 * total <= look.n_stored_bytes < total]
    done = [look.n_stored_bytes / total * n / 1000 for look in steady]
    slope_mb = float(np.polyfit(done, [look.rss_mb for look in steady], 1)[0])
    values = {"recordings": n, "rss_mb": steady[-1].rss_mb, "rss_slope_mb_per_1000": slope_mb}
    return Line("memory", values, {"thousands": done, "rss_mb": [look.rss_mb for look in steady]})


def _corpus(n: int) -> Path:
    """A raw folder of n tiny recordings of as many persons, as links to one file."""
    root = CACHE / f"tiny_{n}"
    if not root.exists():
        unfinished = root.with_name(f"{root.name}_unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        source = made(TINY)
        for k in range(n):
            (unfinished / f"{k:08d}_s001_t000.edf").hardlink_to(source)
        unfinished.rename(root)
    return root


def _ingest_tiny(root: Path, n_workers: int, n_runs: int, folder: Path) -> None:
    for _ in range(n_runs):
        _ingest_into(root, n_workers, folder / "signals", folder)


def _ingest_into(root: Path, n_workers: int, store: Path, _: Path) -> None:
    params = ingest_params(TINY, n_workers)
    raw_files = params.corpus.build("tiny").index(root)
    done = ingest(raw_files, root, params, SIGNAL, store, simulated=True)
    if len(done.recordings) != len(raw_files):
        raise RuntimeError(f"all of {len(raw_files)} recordings were to get in, not {len(done.recordings)}")


def _peak_mb(recipe: Recipe, folder: Path) -> tuple[float, float]:
    """Most memory allocated during a conversion, and the largest block that was read."""
    params = ingest_params(recipe, 1)
    root = recipe.path.parent
    row = params.corpus.build("long").index(root).to_dict("records")[0]
    job = Task(root, {str(k): v for k, v in row.items()}, "key", params, SIGNAL, folder)
    convert(job)  # libraries load, tables are cached
    blocks: list[int] = []
    read_uv = EdfReader.read_uv

    def watched(self: EdfReader, *span: object) -> object:
        block = read_uv(self, *span)
        blocks.append(block.nbytes)
        return block

    EdfReader.read_uv = watched
    tracemalloc.start()
    result = convert(job)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if not isinstance(result, Converted):
        raise TypeError(f"{recipe.path} was to be converted: {result}")
    return peak / 1e6, max(blocks) / 1e6


def _stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/shard_*.i16"))


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _rss_mb(pid: int) -> float:
    """Resident memory, without the pages of mapped files, which the system takes back at will."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e3
