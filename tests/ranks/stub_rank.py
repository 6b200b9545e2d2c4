"""A rank that imports no torch: it does what ``plan.json`` beside its job says."""

import json
import logging
import os
import signal
import sys
import time
import warnings
from pathlib import Path

from eegfm.errors import StoreError
from eegfm.ranks.ends import RUNNING, states
from eegfm.ranks.worker import as_rank
from eegfm.stopping import deferred

logger = logging.getLogger("eegfm.stub")


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and ") Z" not in Path(f"/proc/{pid}/stat").read_text()


def act(job: Path, rank: int, what: str) -> None:
    folder = Path(os.environ.get("STUB_FOLDER", job.parent))
    (folder / f"began-{rank}").write_text(str(os.getpid()))
    if what == "speak":
        logger.info("one thing %s", os.environ["OMP_NUM_THREADS"])
        logger.warning("x" * 9000 if rank else "long enough")
        warnings.warn("take care", stacklevel=1)
        sys.stdout.write("noise\n")
    elif what == "refuse":
        raise StoreError(f"rank {rank} found damage")
    elif what == "lose":
        while not [s for s in states(job.parent) if s.rank != rank and not (s.state == RUNNING and is_there(s.pid))]:
            time.sleep(0.002)
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:9")
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    elif what == "work":
        work(folder / f"saved-{rank}")


def work(saved: Path) -> None:
    """Take steps until a signal comes, and save then; speak all the while."""
    with deferred() as deferral:
        limit_s = time.monotonic() + 60
        while deferral.number is None and time.monotonic() < limit_s:
            logger.warning("a step")
            time.sleep(0.01)
        for _ in range(20):
            logger.warning("saving")
            time.sleep(0.01)
        saved.touch()
        deferral.end("all is saved")


if __name__ == "__main__":
    path = Path(sys.argv[1])
    with as_rank(path.parent) as place:
        act(path, place.rank, json.loads(path.read_text())[place.rank])
