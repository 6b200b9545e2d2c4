"""SIGTERM and Ctrl-C end a run with 143 and 130, with one line, and with nothing left running."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from kedro_project import PROJECT_ROOT, Run
from process_groups import members_of
from tone_corpus import write_corpus
from warm_process import RUN_KEDRO, Forked, WarmProcess, variables

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
WAIT_S = 90
TERM, INT = signal.SIGTERM, signal.SIGINT
USR1 = getattr(signal, "SIGUSR1", TERM)
CODES = {TERM: 143, USR1: 143, INT: 130}
NAMES = {TERM: "SIGTERM", USR1: "SIGUSR1", INT: "SIGINT (Ctrl-C)"}


def line(number: signal.Signals) -> str:
    return (
        f"eegfm: error: stopped by {NAMES[number]}; finished work is kept, unfinished work is not used; "
        "start the same command again (a training goes on from its last checkpoint)"
    )


@dataclass(frozen=True)
class Started:
    """A program in a process group of its own, and the files it prints to."""

    process: subprocess.Popen[bytes] | Forked
    out: Path
    err: Path

    def wait_for(self, is_there: Callable[["Started"], bool]) -> None:
        """Wait until something is true of a program that runs."""
        limit_s = time.monotonic() + WAIT_S
        while not is_there(self):
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < limit_s, self.out.read_text()
            time.sleep(0.01)

    def send(self, number: signal.Signals, *, to_all: bool = False) -> None:
        """To the process, or to its whole group as a terminal does."""
        (os.killpg if to_all else os.kill)(self.process.pid, number)

    def end(self) -> tuple[int, list[str]]:
        """Exit code, and lines of the error stream; every process of the group has to end within a second."""
        code = self.process.wait(WAIT_S)
        limit_s = time.monotonic() + 1
        while members_of(self.process.pid):
            assert time.monotonic() < limit_s, "processes are left"
            time.sleep(0.02)
        return code, self.err.read_text().splitlines()


Start = Callable[..., Started]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts programs, and ends what a failed test leaves of them."""
    started = []

    def run(*command: str, warm: WarmProcess | None = None) -> Started:
        out, err = (tmp_path / f"{name}{len(started)}" for name in ("out", "err"))
        process: subprocess.Popen[bytes] | Forked
        if warm is not None:
            out.touch()
            process = warm.start(RUN_KEDRO, [*command], out, err, variables())
        else:
            with out.open("wb") as standard, err.open("wb") as errors:
                process = subprocess.Popen(
                    command, stdout=standard, stderr=errors, start_new_session=True, cwd=PROJECT_ROOT, env=variables()
                )
        started.append(Started(process, out, err))
        return started[-1]

    yield run
    for each in started:
        if members_of(each.process.pid):
            os.killpg(each.process.pid, signal.SIGKILL)
        each.process.wait()


def prints(text: str) -> Callable[[Started], bool]:
    return lambda started: text in started.out.read_text()


KEDRO = str(Path(sys.executable).with_name("kedro"))


# The whole command, stage by stage.


def test_ingestion_ends_with_its_workers(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    tiny = "tuh.acquire.source.n_subjects=8,tuh.acquire.source.duration_s=60,tuh.ingest.workers.n_workers=2"
    run = start(KEDRO, "run", "--env=test", "--pipelines=ingest", "--namespaces=tuh", f"--params=data={data},{tiny}")
    run.wait_for(lambda _: any(data.rglob("*.started")))
    run.send(TERM)
    assert run.end() == (143, [line(TERM)])
    assert not list(data.rglob("spool")), "files of the workers are gone"
    assert not list(data.rglob("recordings.parquet")), "no table says that the corpus is there"


def test_ctrl_c_in_a_terminal_is_one_line_of_all_processes(start: Start, tmp_path: Path) -> None:
    write_corpus(tmp_path / "raw", [f"{k:02d}_1" for k in range(20)])
    body = """
import sys
from pathlib import Path
from eegfm.jobs.ingest.config import WorkerParams
from eegfm.stopping import stoppable
sys.path.insert(0, "tests")
from tone_corpus import PARAMS, run_ingest
if __name__ == "__main__":
    with stoppable():
        workers = {"workers": WorkerParams(n_workers=2)}
        run_ingest(Path(sys.argv[1]) / "raw", Path(sys.argv[1]) / "store", PARAMS.model_copy(update=workers))
"""
    run = start(sys.executable, "-c", body, str(tmp_path))
    # Workers start, and each would print a traceback of what it imports.
    run.wait_for(lambda each: (tmp_path / "store/spool").exists() and len(members_of(each.process.pid)) > 2)
    run.send(INT, to_all=True)
    assert run.end() == (130, [line(INT)])


@pytest.fixture
def data(run: Run, tmp_path: Path) -> Path:
    """What a run of the whole project has left, to be worked on."""
    return shutil.copytree(run.data, tmp_path / "data")


def test_training_ends_with_a_checkpoint_and_goes_on(start: Start, data: Path, warm: WarmProcess) -> None:
    """Both commands fork from a process that has imported torch; the next test stops a command that imports it."""
    encoder, logs = data / "06_models/pretrain/encoder.safetensors", set(data.rglob("events.out.tfevents.*"))
    before = encoder.read_bytes()
    endless = "pretrain.n_steps=1000000,pretrain.validation_interval_steps=1000000,pretrain.overwrite=true"
    command = (KEDRO, "run", "--env=test", "--tags=pretrain", f"--params=data={data},{endless}")
    run = start(*command, warm=warm)
    run.wait_for(lambda _: bool(set(data.rglob("events.out.tfevents.*")) - logs))
    run.send(TERM)
    code, [said] = run.end()
    assert code == 143
    match = re.fullmatch(
        r"eegfm: error: stopped by SIGTERM; a checkpoint of step (\d+) of 1000000 is kept; "
        "start the same command again, and the training goes on from there",
        said,
    )
    assert match, said
    assert encoder.read_bytes() == before
    assert not list(data.rglob("*.tmp"))
    again = start(*command, warm=warm)
    again.wait_for(prints(f"goes on from step {match[1]} of 1000000"))
    again.wait_for(prints(f"Training goes on: step {int(match[1]) + 1} of 1000000"))
    again.send(USR1)
    code, [said] = again.end()
    assert (code, "stopped by SIGUSR1; a checkpoint of step" in said) == (143, True), said


def test_a_stage_that_imports_torch_ends_alike(start: Start, data: Path) -> None:
    run = start(KEDRO, "run", "--env=test", "--pipelines=probe", f"--params=data={data}")
    run.wait_for(prints("Running node: probe_encoder"))
    run.send(INT)
    assert run.end() == (130, [line(INT)])


def test_the_module_ends_alike_while_kedro_loads(start: Start, tmp_path: Path) -> None:
    run = start(sys.executable, "-m", "eegfm", "--env=test", f"--params=data={tmp_path / 'data'}")
    run.wait_for(prints("conf/logging.yml"))
    run.send(TERM)
    assert run.end() == (143, [line(TERM)])


def test_kedro_viz_ends_with_its_server(start: Start) -> None:
    viz = start(KEDRO, "viz", "run", "--env=test", "--no-browser", f"--port={random.randrange(20_000, 45_000)}")
    viz.wait_for(prints("Kedro Viz started successfully"))
    assert len(members_of(viz.process.pid)) > 1, "the server is a process of its own"
    viz.send(TERM)
    code, lines = viz.end()
    assert (code, lines[-1]) == (143, "eegfm: error: stopped by SIGTERM; Kedro-Viz's server is stopped too")


# Single rules, in programs that load nothing else.

_PROGRAM = """
import os, signal, sys, threading, time
from eegfm import stopping
from eegfm.stopping import Stopped, stop_before_the_run, stoppable
stopping.GRACE_S = 0.3
def ready():
    print("ready", flush=True)
    time.sleep(60)
"""


def program(body: str) -> tuple[str, ...]:
    return sys.executable, "-c", _PROGRAM + body


ENDS = {
    "waits": "with stoppable(): ready()",
    "inside another": """
with stoppable():
    with stoppable(): ready()
""",
    "swallows it": """
with stoppable():
    try: ready()
    except BaseException: time.sleep(60)
""",
    "fails over it": """
with stoppable():
    try: ready()
    finally: raise ValueError("while cleaning up")
""",
    "goes on to its end": """
with stoppable():
    try: ready()
    except BaseException: pass
""",
    "waits for a thread": """
with stoppable():
    thread = threading.Thread(target=ready)
    thread.start()
    thread.join()
""",
    "has another handler": """
with stoppable():
    for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, lambda *_: sys.exit(15))
    ready()
""",
    "has a child": """
import multiprocessing
with stoppable():
    child = multiprocessing.get_context("fork").Process(target=ready)
    child.start()
    child.join()
""",
    "is in a destructor": """
stopping.GRACE_S = 1000
class Busy:
    def __del__(self): ready()
with stoppable():
    Busy()
    time.sleep(60)
""",
    "loads": """
sys.argv = ["/somewhere/bin/kedro", "run", "--env=test"]
stop_before_the_run(sys.argv)
ready()
""",
}


@pytest.mark.parametrize(("number", "name"), [*product([TERM, INT], ENDS), (USR1, "waits"), (USR1, "loads")])
def test_a_run_that(start: Start, number: signal.Signals, name: str) -> None:
    run = start(*program(ENDS[name]))
    run.wait_for(prints("ready"))
    run.send(number, to_all=number == INT)
    assert run.end() == (CODES[number], [line(number)])


def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    run = start(*program("""
stopping.GRACE_S = 1000
with stoppable():
    try: ready()
    finally: ready()
"""))  # fmt: skip
    run.wait_for(prints("ready"))
    run.send(TERM)
    run.wait_for(prints("ready\nready"))
    run.send(TERM)
    assert run.end() == (143, [line(TERM)])


_DEFERRED = """
stopping.DEFERRED_GRACE_S = 0.5
with stoppable(), stopping.deferred() as deferral:
    print("ready", flush=True)
    while deferral.number is None: time.sleep(0.01)
    print("saving", flush=True)
"""


@pytest.mark.parametrize("number", [TERM, INT, USR1])
def test_a_block_that_saves_ends_by_itself(start: Start, number: signal.Signals) -> None:
    run = start(*program(_DEFERRED + "    time.sleep(0.4); print('saved', flush=True); deferral.end('it is saved')"))
    run.wait_for(prints("ready"))
    run.send(number, to_all=number == INT)
    assert run.end() == (CODES[number], [f"eegfm: error: stopped by {NAMES[number]}; it is saved"])
    assert run.out.read_text() == "ready\nsaving\nsaved\n"


def test_a_block_that_does_not_end_is_ended(start: Start) -> None:
    run = start(*program(_DEFERRED + "    time.sleep(60)"))
    run.wait_for(prints("ready"))
    run.send(TERM)
    assert run.end() == (143, [line(TERM)])


def test_a_second_signal_ends_a_block_that_saves(start: Start) -> None:
    run = start(*program(_DEFERRED.replace("0.5", "1000") + "    ready()"))
    run.wait_for(prints("ready"))
    run.send(USR1)
    run.wait_for(prints("saving\nready"))
    run.send(TERM)
    assert run.end() == (143, [line(TERM)])


def test_a_rank_that_saves_hears_one_signal(start: Start, tmp_path: Path) -> None:
    code = _DEFERRED.replace("0.5", "1000").replace("stoppable()", "stoppable(hears_once=True)")
    wait = (
        f"    while not os.path.exists({str(tmp_path / 'again')!r}): time.sleep(0.01)\n    deferral.end('it is saved')"
    )
    run = start(*program(code + wait))
    run.wait_for(prints("ready"))
    run.send(USR1)
    run.wait_for(prints("ready\nsaving"))
    run.send(TERM)
    time.sleep(0.2)
    (tmp_path / "again").touch()
    assert run.end() == (143, [f"eegfm: error: stopped by {NAMES[USR1]}; it is saved"])


def test_a_block_that_is_no_program_leaves_it_alive(start: Start) -> None:
    run = start(*program("""
try:
    with stoppable(is_program=False): os.kill(os.getpid(), signal.SIGTERM)
except Stopped as stopped:
    assert stopped.code == 143
time.sleep(1)
print("alive")
"""))  # fmt: skip
    assert run.end() == (0, [line(TERM)])
    assert run.out.read_text() == "alive\n"


LIVES = {
    "ignored by the caller": """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with stoppable():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.5)
print("alive")
""",
    "of a child": """
import multiprocessing
with stoppable():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join()
    assert child.exitcode == -signal.SIGTERM, child.exitcode
    time.sleep(0.5)
print("alive")
""",
    "while a child goes on": """
import multiprocessing
with stoppable():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
assert child.is_alive(), "the block has waited for it"
child.kill()
child.join()
print("alive")
""",
    "none": """
before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
with stoppable(): pass
assert before == [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
assert signal.set_wakeup_fd(-1) == -1
stop_before_the_run(["kedro", "jupyter", "lab"])
stop_before_the_run(["pytest", "run"])
assert before == [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
time.sleep(0.5)
assert threading.active_count() == 1, threading.enumerate()
print("alive")
""",
}


@pytest.mark.parametrize("name", LIVES)
def test_no_end_by_a_signal(start: Start, name: str) -> None:
    run = start(*program(LIVES[name]))
    assert run.end() == (0, [])
    assert run.out.read_text() == "alive\n"
