"""Workers that die, hang or live on other machines change nothing about what comes out."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

import eegfm.jobs.ingest.workers as workers
from dying_worker import Dying, Unreadable
from eegfm.errors import EegfmError, StoreError
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.convert import Converted, Task
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.store.index import RejectedEntry
from tone_corpus import CORPUS, PARAMS, run_ingest, write_corpus

NAMES = tuple(f"{letter}_1" for letter in "abcdefgh")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("workers") / "raw", NAMES)


@pytest.fixture
def plan(root: Path, tmp_path: Path) -> list[Task]:
    return tasks(root, tmp_path / "spool", PARAMS)


def tasks(root: Path, spool: Path, params: IngestParams) -> list[Task]:
    spool.mkdir(exist_ok=True)
    rows = CORPUS.build("tones").index(root).to_dict("records")
    return [Task(root, row, row["recording_id"][6:], params, SignalParams(), spool) for row in rows]


def in_processes(plan: list[Task]) -> list[Converted | RejectedEntry]:
    return list(workers.converted(plan, WorkerParams(n_workers=2)))


def names(results: list[Converted | RejectedEntry]) -> list[str]:
    return [r.recording_id.removeprefix("tones:") for r in results]


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make workers die or hang on some files."""
    return lambda **files: monkeypatch.setattr(workers, "attempt", Dying(**files))


def test_a_worker_that_is_killed_costs_a_retry_of_its_own_file(plan: list[Task], dying: Callable[..., None]) -> None:
    dying(once=("g_1",))
    results = in_processes(plan)
    assert names(results) == list(NAMES)
    assert all(isinstance(r, Converted) for r in results)
    seen = pd.Series((plan[0].spool.parent / "log").read_text().split()).value_counts()
    assert seen.to_dict() == {name: 1 + (name == "g_1") for name in NAMES}


def test_files_that_kill_workers_become_rows(plan: list[Task], dying: Callable[..., None]) -> None:
    dying(poison=("a_1", "b_1"))  # both workers at once
    results = in_processes(plan[:4])
    assert names(results) == list(NAMES[:4])
    rejected = [r for r in results if isinstance(r, RejectedEntry)]
    assert names(rejected) == ["a_1", "b_1"]
    assert {r.code for r in rejected} == {"kills_worker"}
    assert rejected[0].reason.startswith("a_1.edf: 2 worker processes died while they converted this file")
    seen = (plan[0].spool.parent / "log").read_text().split()
    assert (seen.count("a_1"), seen.count("c_1")) == (2, 1)


def test_a_file_that_takes_too_long_is_given_up(root: Path, tmp_path: Path, dying: Callable[..., None]) -> None:
    params = PARAMS.model_copy(update={"reading": ReadParams(timeout_s=1)})
    dying(hang=("b_1",))
    [rejected] = in_processes(tasks(root, tmp_path / "spool", params)[1:2])
    assert isinstance(rejected, RejectedEntry)
    assert (names([rejected]), rejected.code) == (["b_1"], "kills_worker")
    assert "took longer than 1 s" in rejected.reason


def test_workers_that_cannot_even_start_end_the_run(plan: list[Task], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "attempt", Unreadable())
    with pytest.raises(EegfmError, match="worker processes end before they open a file"):
        in_processes(plan[:1])


def test_an_error_in_a_worker_arrives_as_it_is(plan: list[Task], dying: Callable[..., None]) -> None:
    dying(full=("c_1",))
    with pytest.raises(StoreError, match="disk full"):
        in_processes(plan)


def test_results_come_in_the_order_of_the_plan_and_little_is_converted_ahead(
    plan: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FILES_AHEAD", 1)
    converted = workers.converted(plan, WorkerParams(n_workers=2))
    first = next(converted)
    assert len(list(plan[0].spool.glob("*.i16"))) <= 4
    results = [first, *converted]
    assert names(results) == list(NAMES)
    assert all(isinstance(r, Converted) for r in results)
    assert not list(plan[0].spool.glob("*.started"))


@pytest.mark.parametrize(
    ("n_workers", "n_tasks", "expected"), [("auto", 1, 2), ("auto", 1000, None), (1, 9, 1), (8, 3, 3), (8, 1, 2)]
)
def test_number_of_processes(n_workers: int | str, n_tasks: int, expected: int | None) -> None:
    found = workers.n_processes(WorkerParams(n_workers=n_workers), n_tasks)
    assert found == (expected or max(len(os.sched_getaffinity(0)), 2))


def dask(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dask", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=nowhere, stderr=nowhere, start_new_session=True, env=environment)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Dask scheduler and two workers, each a process of its own."""
    folder = tmp_path_factory.mktemp("dask")
    started = [
        dask(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", f"{folder}/s.json"
        )
    ]
    try:
        for _ in range(200):
            if (folder / "s.json").exists():
                break
            time.sleep(0.1)
        address = str(pd.read_json(folder / "s.json", typ="series")["address"])
        options = ["--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--death-timeout", "60"]
        started.append(dask("worker", address, "--host", "127.0.0.1", "--local-directory", str(folder), *options))
        _wait_for_workers(address, 2)
        yield address
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for_workers(address: str, n: int) -> None:
    from distributed import Client

    with Client(address) as client:
        client.wait_for_workers(n, timeout=60)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_dask_cluster_writes_the_same_store(root: Path, tmp_path: Path, scheduler: str) -> None:
    params = PARAMS.model_copy(update={"workers": WorkerParams(backend="dask", address=scheduler)})
    on_cluster = run_ingest(root, tmp_path / "cluster", params)
    assert on_cluster.store.digest() == run_ingest(root, tmp_path / "here").store.digest()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_file_that_kills_dask_workers_becomes_a_row(
    plan: list[Task], scheduler: str, dying: Callable[..., None]
) -> None:
    dying(poison=("c_1",), once=("e_1",))
    results = list(workers.converted(plan, WorkerParams(backend="dask", address=scheduler)))
    assert names(results) == list(NAMES)
    assert [(names([r]), r.code) for r in results if isinstance(r, RejectedEntry)] == [(["c_1"], "kills_worker")]


def test_a_scheduler_that_does_not_answer_is_named(plan: list[Task], tmp_path: Path) -> None:
    import dask.config

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(EegfmError, match="no Dask scheduler answers"),
    ):
        list(workers.converted(plan, WorkerParams(backend="dask", address="tcp://127.0.0.1:9")))


@pytest.mark.parametrize("address", ["nonsense", "foo://127.0.0.1:8786", "127.0.0.1:port"])
def test_an_address_that_is_none_is_named(plan: list[Task], address: str) -> None:
    with pytest.raises(EegfmError, match=rf"ingest\.workers\.address: '{address}' is no address"):
        list(workers.converted(plan, WorkerParams(backend="dask", address=address)))


def test_a_cluster_package_that_is_missing_is_named(plan: list[Task], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EegfmError, match=r"not installed \(distributed\); .* pip install 'eegfm\[dask\]'"):
        list(workers.converted(plan, WorkerParams(backend="dask")))
