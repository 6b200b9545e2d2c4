"""Convert many files at once, in processes of this machine or on a cluster.

A worker may die (out of memory, a crash inside a library, a reader that hangs). Only its own file is then tried again.
A worker leaves a note in the spool before it opens a file. A file that was started twice without an end is rejected and
not opened a third time.
"""

import contextlib
import faulthandler
import os
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import BrokenProcessPool

from eegfm.errors import EegfmError, StoreError
from eegfm.jobs.ingest.clusters import on_cluster
from eegfm.jobs.ingest.config import WorkerParams
from eegfm.jobs.ingest.convert import TRIED_AGAIN, Converted, Task, convert
from eegfm.jobs.ingest.processes import deaf_to_ctrl_c, end_with
from eegfm.jobs.ingest.same_content import content_of
from eegfm.printable import make_logs_printable
from eegfm.store.index import RejectedEntry

Result = Converted | RejectedEntry

MAX_STARTS = 2
FILES_AHEAD = 16
"""Number of files per worker that may be converted before their turn to be committed. They wait in the spool."""


def converted(plan: Sequence[Task], params: WorkerParams) -> Generator[Result]:
    """Convert files. Close the generator to end the workers early.

    Yields:
        One result per task in the order of the plan, so that the store's bytes do not depend on the workers.

    Raises:
        EegfmError: The cluster cannot be reached, or its package is not installed.
    """
    if not plan:
        return
    if params.backend != "loky":
        yield from on_cluster(attempt, plan, params, FILES_AHEAD)
        return
    n_workers = n_processes(params, len(plan))
    yield from map(_result, plan) if n_workers == 1 else _in_processes(plan, n_workers)


def n_processes(params: WorkerParams, n_tasks: int) -> int:
    """Number of processes of this machine for a number of files."""
    if params.n_workers == 1:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Use at least two processes, so that no file is opened in the process that commits.
    return max(min(cores if params.n_workers == "auto" else params.n_workers, n_tasks), 2)


def attempt(task: Task) -> Result:
    """Convert one file in a worker process, which the file may kill."""
    make_logs_printable()
    note = task.spool / f"{task.key}.started"
    n_starts = note.stat().st_size if note.exists() else 0
    if n_starts >= MAX_STARTS:
        rejected = task.rejected(
            "kills_worker",
            f"{task.row['path']}: {n_starts} worker processes died while they converted this file, or took longer than "
            f"{task.params.reading.timeout_s:g} s",
            "leave the file out; or raise ingest.reading.timeout_s, or use fewer workers if memory ran out",
        )
        return _with_content(task, rejected)
    try:
        with note.open("ab") as file:
            file.write(b".")
    except OSError as error:
        raise StoreError(f"{note} cannot be written ({error.strerror}); check the disk of the store") from error
    with _watchdog(task.params.reading.timeout_s):
        result = _result(task)
    note.unlink()
    return result


def _result(task: Task) -> Result:
    """Convert one file, and note the content of its files for comparisons to come."""
    return _with_content(task, convert(task))


def _with_content(task: Task, result: Result) -> Result:
    if isinstance(result, RejectedEntry) and result.code in TRIED_AGAIN:
        return result
    try:
        return replace(result, content=content_of(task, result.named))
    except OSError:
        return result  # a file cannot be read, or vanished after its conversion; the next run sees that


@contextlib.contextmanager
def _watchdog(timeout_s: float) -> Iterator[None]:
    """End this process if the block takes too long. A library that hangs reacts to no signal and no exception."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        faulthandler.dump_traceback_later(timeout_s, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


class _Worker:
    """One process of this machine with its own executor. If it breaks, no other process is affected."""

    def __init__(self) -> None:
        self._executor: Any = None

    def submit(self, task: Task) -> Future[Result]:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(max_workers=1, initializer=end_with, initargs=(os.getpid(),))
        with deaf_to_ctrl_c():
            future: Future[Result] = self._executor.submit(attempt, task)
        return future

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
        self._executor = None


def _in_processes(plan: Sequence[Task], n_workers: int) -> Iterator[Result]:
    idle = [_Worker() for _ in range(n_workers)]
    running: dict[Future[Result], tuple[int, _Worker]] = {}
    done: dict[int, Result] = {}
    n_breaks = Counter[int]()
    waiting, retries = iter(range(len(plan))), list[int]()
    n_yielded = n_started = 0
    try:
        while n_yielded < len(plan):
            while idle and (retries or n_started < min(len(plan), n_yielded + FILES_AHEAD * n_workers)):
                number = retries.pop() if retries else next(waiting)
                n_started = max(n_started, number + 1)
                worker = idle.pop()
                running[worker.submit(plan[number])] = (number, worker)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number, worker = running.pop(future)
                try:
                    done[number] = future.result()
                except BrokenProcessPool as error:
                    worker.close()
                    n_breaks[number] += 1
                    # This limit is for workers that cannot start. For a file that kills, the note in the spool is
                    # enough.
                    if n_breaks[number] > MAX_STARTS + 1:
                        raise EegfmError(f"worker processes end before they open a file: {error}") from error
                    retries.append(number)
                idle.append(worker)
            while n_yielded in done:
                yield done.pop(n_yielded)
                n_yielded += 1
    finally:
        # End all at once, because a stopped run has little time.
        with ThreadPoolExecutor(n_workers) as closing:
            list(closing.map(_Worker.close, [*idle, *(w for _, w in running.values())]))
