"""Processes of the benchmarks measure alike, and say so when a peer is missing."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.processes import Process, ratio, side_by_side, task

CORE = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processes are bound to cores on Linux")


def burn(n: int, folder: Path) -> int:
    (folder / "made").touch()
    return sum(range(n))


def in_a_child(n: int, folder: Path) -> None:
    pid = os.fork()
    if not pid:
        burn(n, folder)
        os._exit(0)
    os.waitpid(pid, 0)


def surroundings(folder: Path) -> tuple[set[int], str, list[str]]:
    return os.sched_getaffinity(0), os.environ["OMP_NUM_THREADS"], os.listdir(folder)


def absent(folder: Path) -> None:
    import a_peer_that_nobody_has  # noqa: F401  the import is what fails


def fail(folder: Path) -> None:
    raise ValueError("broken on purpose")


def test_a_process_has_one_core_one_thread_and_an_empty_folder() -> None:
    with Process(CORE) as process:
        for _ in range(2):
            (cores, n_threads, found), _ = process.run(task(surroundings))
            assert (cores, n_threads, found) == ({CORE}, "1", [])
            process.run(task(burn, 10))


def test_candidates_take_turns_and_a_missing_peer_drops_out() -> None:
    n = 3_000_000
    tasks = {"once": task(burn, n), "thrice": task(burn, 3 * n), "child": task(in_a_child, 3 * n), "gone": task(absent)}
    seconds = side_by_side(tasks, CORE, repeats=3)
    assert {name: len(found) for name, found in seconds.items()} == {"once": 3, "thrice": 3, "child": 3}
    # Nothing exact: other processes share this machine. A child that was not counted would give almost nothing.
    assert 1 < ratio(seconds["thrice"], seconds["once"]) < 9
    assert 1 < ratio(seconds["child"], seconds["once"]) < 9


def test_a_task_that_fails_ends_the_run() -> None:
    with pytest.raises(RuntimeError, match="died"), Process(CORE) as process:
        process.run(task(fail))
