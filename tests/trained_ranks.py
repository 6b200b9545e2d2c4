"""Cases that are trained by one process and by two ranks, all at once, so that tests compare what they leave."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from warm_process import WarmProcess

PROCESSES = ((0, 1), (0, 2), (1, 2))
"""Rank and number of ranks of each process of a case."""
NAMES = tuple(f"{n_ranks}_{rank}" for rank, n_ranks in PROCESSES)
"""Ends of the names of what they leave."""


def train_cases(warm: WarmProcess, code: str, folder: Path, cases: Mapping[str, object]) -> None:
    """Run a program that calls ``fork_ranks`` for these cases; its words are the folder and a port of each case."""
    with ExitStack() as held:  # all at once, or a port could be found twice
        probes = [held.enter_context(socket.socket()) for _ in cases]
        for probe in probes:
            probe.bind(("", 0))
        ports = [str(probe.getsockname()[1]) for probe in probes]
    done = warm.run(code, str(folder), *ports, folder=folder)
    assert done.returncode == 0, done.stderr[-3000:]


def fork_ranks(ports: Mapping[str, str], train: Callable[[str, int, int], None]) -> None:
    """Train each case in a process of its own and in two ranks; the first that fails ends the program.

    Args:
        ports: By case, where its two ranks meet. What ``torch.distributed.run`` would tell them is told here.
        train: Takes a case, a rank and the number of ranks.
    """
    children = []
    for case, port in ports.items():
        for rank, n_ranks in PROCESSES:
            children.append(os.fork())
            if not children[-1]:
                os.environ |= {
                    "RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1",
                    "WORLD_SIZE": str(n_ranks), "LOCAL_WORLD_SIZE": str(n_ranks), "MASTER_PORT": port,
                    "TORCHELASTIC_RUN_ID": "test", "GLOO_SOCKET_IFNAME": "lo",
                }  # fmt: skip
                _end_with(lambda case=case, rank=rank, n_ranks=n_ranks: train(case, rank, n_ranks))
    while children:
        child, status = os.wait()
        children.remove(child)
        if status:
            for other in children:  # who may wait for the one that failed
                os.kill(other, signal.SIGKILL)
            sys.exit(abs(os.waitstatus_to_exitcode(status)))


def _end_with(work: Callable[[], None]) -> None:
    """End this process with 0 where the work was done, and with 1 and a traceback where it failed."""
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends, and says of what
        sys.excepthook(*sys.exc_info())
    sys.stderr.flush()
    os._exit(code)
