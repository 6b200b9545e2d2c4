"""Start the ranks of a job with ``torch.distributed.run``, and leave none of them behind."""

import logging
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import eegfm
from eegfm.errors import ConfigError
from eegfm.ranks import ends
from eegfm.ranks.logs import LEVELS_VARIABLE, levels, replay
from eegfm.stopping import AFTER_A_RUN, GRACE_S, Deferral, deferred, stoppable

logger = logging.getLogger(__name__)

_POLL_S = 0.05
_SLURM_START = "srun"
_N_KEPT_LINES = 200
_FIRST_PORT, _N_PORTS = 20_000, 20_000


@dataclass(frozen=True)
class Nodes:
    """Machines of a job.

    Args:
        n_devices: Processes on each.
        n_nodes: Number of machines.
        rendezvous: HOST:PORT at which several meet; None takes it from SLURM.
        key: Name of the block of parameters that asks for them, for messages.
    """

    n_devices: int
    n_nodes: int = 1
    rendezvous: str | None = None
    key: str = "pretrain"

    @property
    def n_ranks(self) -> int:
        """Processes on all machines."""
        return self.n_devices * self.n_nodes


def run_ranks(module: str, job: Path, nodes: Nodes) -> None:
    """Run a module in several processes, each with the path of the job, to the end of all.

    What rank 0 logs is logged here, and warnings of the others. The processes end when this one ends, however it ends.
    A signal is handed on to the ranks, which save their work; this process ends after them.

    Args:
        module: Module to run as a program; its code runs in ``eegfm.ranks.worker.as_rank``.
        job: Description of the job. Its folder is used to tell how the ranks end.
        nodes: Machines and processes.

    Raises:
        EegfmError: A rank failed with it.
        OSError: The same.
        TrainingError: A rank failed otherwise, or was killed.
        Stopped: A signal came.
    """
    command = rank_command(module, job, nodes, os.environ)
    if nodes.n_nodes > 1 and command[0] != _SLURM_START:
        logger.info("Start the same on each of the other %d nodes: %s", nodes.n_nodes - 1, " ".join(command))
    output: deque[str] = deque(maxlen=_N_KEPT_LINES)
    gone: list[int] = []
    with (
        stoppable(is_program=False),
        deferred() as deferral,
        _processes(command, _environment(nodes.n_devices), job.parent, output) as process,
    ):
        _wait(process, job.parent, nodes.n_devices, gone, deferral)
        code = process.poll() or 0  # its own: what still runs is killed with the block
        deferral.end(ends.last_words(job.parent) or AFTER_A_RUN)
    if process.returncode and not ends.all_done(job.parent, nodes.n_ranks):
        raise ends.cause(job.parent, nodes.n_ranks, gone, list(output), starter=(process.pid, code))


def rank_command(module: str, job: Path, nodes: Nodes, variables: Mapping[str, str]) -> list[str]:
    """Put the command together that starts the ranks of all machines.

    Raises:
        ConfigError: Several machines are asked for, and it is unknown how they meet.
    """
    run = [sys.executable, "-m", "torch.distributed.run", "--max-restarts=0", f"--nproc-per-node={nodes.n_devices}"]
    what = ["-m", module, str(job)]
    if nodes.n_nodes == 1:
        # 0: a port that the system gives. The address spares a look-up of this machine's own name.
        here = ["--nnodes=1", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", "--local-addr=127.0.0.1"]
        return [*run, *here, *what]
    slurm = variables.get("SLURM_JOB_ID")
    if nodes.rendezvous is None and slurm is None:
        raise ConfigError(
            f"{nodes.key}.num_nodes is {nodes.n_nodes}, and this is no job of SLURM; start it with sbatch, or set "
            f"{nodes.key}.rendezvous to HOST:PORT of this node"
        )
    n_given = variables.get("SLURM_JOB_NUM_NODES", variables.get("SLURM_NNODES"))
    if slurm is not None and n_given is not None and int(n_given) != nodes.n_nodes:
        raise ConfigError(
            f"{nodes.key}.num_nodes is {nodes.n_nodes}, and this job of SLURM has {n_given}; choose the same number"
        )
    number = int(slurm) if slurm is not None and slurm.isdigit() else 0
    meeting = nodes.rendezvous or f"{socket.gethostname()}:{_FIRST_PORT + number % _N_PORTS}"
    run += [f"--nnodes={nodes.n_nodes}", "--rdzv-backend=c10d", f"--rdzv-endpoint={meeting}"]
    run += [f"--rdzv-id=eegfm-{slurm or meeting}", *what]
    if slurm is None:
        return run
    # srun does not hand on --cpus-per-task of sbatch by itself.
    cpus = variables.get("SLURM_CPUS_PER_TASK")
    own = [f"--cpus-per-task={cpus}"] if cpus else []
    tasks = [f"--nodes={nodes.n_nodes}", f"--ntasks={nodes.n_nodes}", "--ntasks-per-node=1", "--kill-on-bad-exit=1"]
    return [_SLURM_START, *tasks, *own, *run]


def _environment(n_devices: int) -> dict[str, str]:
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    paths = [str(Path(eegfm.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        "OMP_NUM_THREADS": str(max(n_cores // n_devices, 1)),
        **os.environ,
        LEVELS_VARIABLE: levels(),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONSAFEPATH": "1",  # as in the command kedro, no module comes from the folder that it is called in
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def _processes(
    command: Sequence[str], variables: Mapping[str, str], folder: Path, output: deque[str]
) -> Iterator[subprocess.Popen[str]]:
    """Start the ranks in a session of their own, read what they print, and end all of them with the block."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        env=dict(variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C comes to this process alone, which hands it on
        text=True,
        encoding="utf-8",
        errors="backslashreplace",
    )
    reader = threading.Thread(target=_read, args=(process, output), name="eegfm-ranks", daemon=True)
    reader.start()
    try:
        yield process
    except BaseException:
        _hand_on(signal.SIGTERM, process, folder)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S - 1)
        raise
    finally:
        _end(process, folder)
        reader.join(GRACE_S)
        if process.stdout is not None and not reader.is_alive():
            process.stdout.close()


def _read(process: subprocess.Popen[str], output: deque[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if not replay(line):
            output.append(line.rstrip("\n"))
            logger.debug("%s", output[-1])


def _wait(process: subprocess.Popen[str], folder: Path, n_devices: int, gone: list[int], deferral: Deferral) -> None:
    """Wait for the end, and note the order in which ranks of this machine go. Who outlives a failed one has seconds."""
    pids: dict[int, int] = {}
    limit_s, is_handed_on = math.inf, False
    while process.poll() is None and time.monotonic() < limit_s:
        if deferral.number is not None and not is_handed_on:
            _hand_on(deferral.number, process, folder)
            limit_s, is_handed_on = min(limit_s, time.monotonic() + ends.RANK_GRACE_S), True
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
        if len(pids) < n_devices:
            pids = {state.rank: state.pid for state in _of_this_machine(folder)}
        new = [rank for rank, pid in pids.items() if rank not in gone and not _is_there(pid)]
        gone += new
        if new:
            ended_well = {state.rank for state in ends.states(folder) if state.state == ends.DONE}
            if not ended_well.issuperset(new):
                limit_s = min(limit_s, time.monotonic() + 2 * GRACE_S)


def _of_this_machine(folder: Path) -> list[ends.RankState]:
    return [state for state in ends.states(folder) if state.host == socket.gethostname()]


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _hand_on(number: int, process: subprocess.Popen[str], folder: Path) -> None:
    """Send a signal to the ranks of this machine; those of others hear of it from them.

    Their starter would kill them after a time of its own. It gets the signal only where no rank has begun.
    """
    ranks = [state.pid for state in _of_this_machine(folder) if state.state == ends.RUNNING]
    for pid in ranks:
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == pid:
                os.kill(pid, number)
    if not ranks:
        process.terminate()


def _end(process: subprocess.Popen[str], folder: Path) -> None:
    """End whatever is left. Each rank has a session of its own, so that the group of its starter does not hold it."""
    assert process.stdin is not None
    with suppress(OSError):
        ends.keep_for_parent(folder)
        process.stdin.close()
    for pid in [state.pid for state in _of_this_machine(folder)]:
        with suppress(ProcessLookupError, PermissionError):
            # A number that the system has given to another process since leads no session with this name.
            if os.getsid(pid) == pid and process.returncode != 0:
                os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
