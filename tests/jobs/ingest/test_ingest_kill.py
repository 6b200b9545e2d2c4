"""A run that is killed at any moment goes on where it stopped, and ends with the bytes of a run that was not."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eegfm.errors import StoreError
from eegfm.store.reader import SignalStore
from process_groups import members_of
from tone_corpus import run_ingest, write_recording
from warm_process import Forked, WarmProcess, variables

N_KILLS = int(os.environ.get("EEGFM_KILLS", "2"))
N_RECORDINGS = 40
PROGRAM = "import runpy, sys; sys.path.insert(0, 'tests'); runpy.run_module('ingest_in_process', run_name='__main__')"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kill") / "raw"
    folder.mkdir()
    write_all(folder, 0)
    return folder


def write_all(folder: Path, seed: int) -> None:
    for k in range(N_RECORDINGS):
        write_recording(folder / f"{k:02d}_1.edf", duration_s=40, phase_seed=seed + k)


Start = Callable[[Path], Forked]


@pytest.fixture
def start(warm: WarmProcess, root: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts ingestions into a folder, and ends what a failed test leaves of them."""
    started = []

    def run(folder: Path) -> Forked:
        args = ["-c", str(root), str(folder)]
        started.append(warm.start(PROGRAM, args, tmp_path / "out", tmp_path / "err", variables()))
        return started[-1]

    yield run
    for process in started:
        if members_of(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_spool(folder: Path, process: Forked) -> None:
    while not (folder / "spool").exists() and process.poll() is None:
        time.sleep(0.01)


def n_committed(folder: Path) -> int:
    return len(SignalStore(folder).entries) if (folder / "store.json").exists() else 0


def test_kills_leave_the_store_of_an_uninterrupted_run(root: Path, tmp_path: Path, start: Start) -> None:
    folder, rng = tmp_path / "killed", random.Random(7)
    seen, n_kills = [0], 0
    while n_kills < N_KILLS:
        process = start(folder)
        wait_for_spool(folder, process)
        time.sleep(rng.uniform(0, 2.5))
        finished = process.poll() is not None
        if not finished:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        n_kills += not finished
        seen.append(n_committed(folder))
        assert seen[-1] >= seen[-2], "what is committed stays"
        if finished or seen[-1] == N_RECORDINGS:
            # Start over with other contents in every file, so that the next kills hit work too.
            write_all(root, N_RECORDINGS * len(seen))
            seen.append(0)
    assert start(folder).wait(timeout=120) == 0, (tmp_path / "err").read_text()
    assert SignalStore(folder).digest() == run_ingest(root, tmp_path / "whole").store.digest()
    assert SignalStore(folder).damaged() == []
    assert not list(folder.rglob("*.tmp"))
    assert not (folder / "spool").exists()


def test_a_second_run_names_the_process_that_writes(root: Path, tmp_path: Path, start: Start) -> None:
    process = start(tmp_path / "s")
    wait_for_spool(tmp_path / "s", process)
    with pytest.raises(StoreError, match=rf"process {process.pid} on \S+ is writing to this store"):
        run_ingest(root, tmp_path / "s")


def test_workers_end_with_the_process_that_started_them(tmp_path: Path, start: Start) -> None:
    process = start(tmp_path / "s")
    wait_for_spool(tmp_path / "s", process)
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(100):
        if not members_of(process.pid):
            break
        time.sleep(0.1)
    assert not members_of(process.pid)
