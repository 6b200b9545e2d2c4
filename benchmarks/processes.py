"""Processes for measurements: one per candidate, bound to one core, one thread per library, run in turns."""

import gc
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

PEERS = Path(sys.prefix) / "eegfm_peers"
"""Where ``setup_peers.sh`` puts the peers: beside the environment's packages, so that nothing else sees them."""

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA", "VECLIB")}
QUIET = {"MNE_LOGGING_LEVEL": "ERROR"}

Task = Callable[[Path], Any]
"""What is measured. It gets an empty folder of its own, made before and deleted after the clock runs."""


class MissingPeerError(Exception):
    """A peer is not installed."""


class Process:
    """A process that runs tasks and says what they cost; use as a context manager.

    Args:
        core: Core that it is bound to.
        peers: Whether it sees the peers' packages.
    """

    def __init__(self, core: int, *, peers: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, core, peers), daemon=False)
        before = dict(os.environ)
        os.environ.update(ONE_THREAD | QUIET)  # read when libraries load, so before the process starts
        self._process.start()
        os.environ.clear()
        os.environ.update(before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            self._connection.send(None)
        self._process.join()

    @property
    def pid(self) -> int:
        """Its number, to look at it from outside."""
        return int(self._process.pid or 0)

    def start(self, task: Task) -> None:
        """Start a task; ``result`` waits for it."""
        self._connection.send(task)

    @property
    def is_done(self) -> bool:
        """Whether ``result`` returns at once."""
        return self._connection.poll()

    def result(self) -> tuple[Any, float]:
        """What the task returned, and the CPU seconds that it took, those of its child processes included.

        Raises:
            MissingPeerError: A package is not installed.
            RuntimeError: The task failed.
        """
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError("the measured process has died; its error stands above") from None
        if isinstance(answer, Exception):
            raise answer
        value, cpu_s = answer
        return value, cpu_s

    def run(self, task: Task) -> tuple[Any, float]:
        """Start a task and wait."""
        self.start(task)
        return self.result()


def side_by_side(tasks: Mapping[str, Task], core: int, repeats: int) -> dict[str, list[float]]:
    """Measure tasks against each other: each in a process of its own, in turns, after one turn to warm up.

    Returns:
        CPU seconds of each repetition. Tasks whose package is not installed are left out.
    """
    return {name: [cpu_s for _, cpu_s in found] for name, found in in_turns(tasks, core, repeats).items()}


def in_turns(tasks: Mapping[str, Task], core: int, repeats: int) -> dict[str, list[tuple[Any, float]]]:
    """Run tasks as ``side_by_side`` does.

    Returns:
        What each repetition returned, and its CPU seconds. Tasks whose package is not installed are left out.
    """
    processes = {name: Process(core, peers=True) for name in tasks}
    found: dict[str, list[tuple[Any, float]]] = {name: [] for name in tasks}
    try:
        for turn in range(repeats + 1):
            for name in list(found):
                try:
                    value, cpu_s = processes[name].run(tasks[name])
                except MissingPeerError:
                    del found[name]
                    continue
                if turn:
                    found[name].append((value, cpu_s))
    finally:
        for process in processes.values():
            process.__exit__()
    return found


def ratio(peer_s: Sequence[float], ours_s: Sequence[float]) -> float:
    """How many times as long the peer takes, by the medians."""
    return statistics.median(peer_s) / statistics.median(ours_s)


def task(function: Callable[..., Any], *args: Any) -> Task:
    """A function with its arguments; the folder comes last."""
    return partial(function, *args)


def _serve(connection: Connection, core: int, peers: bool) -> None:
    os.sched_setaffinity(0, {core})
    if peers:
        sys.path.insert(0, str(PEERS))
    while (job := connection.recv()) is not None:
        folder = Path(tempfile.mkdtemp(prefix="eegfm_benchmark_"))
        try:
            connection.send(_measured(job, folder))
        except ImportError as error:
            connection.send(MissingPeerError(str(error)))
        finally:
            shutil.rmtree(folder)


def _measured(job: Task, folder: Path) -> tuple[Any, float]:
    gc.collect()
    before_s = _cpu_s()
    value = job(folder)
    return value, _cpu_s() - before_s


def _cpu_s() -> float:
    """CPU seconds of this process; ``os.times`` knows its finished children, the process clock is finer."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def status_mb(key: str) -> float:
    """Megabytes of this process by a key of /proc/self/status that counts kB, such as VmRSS or VmHWM."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[key].split()[0]) / 1024
