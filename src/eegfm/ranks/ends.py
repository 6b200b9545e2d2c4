"""Ends of the ranks of a job: each writes a file about itself, and their parent makes one error of all of them."""

import json
import logging
import os
import re
import shutil
import signal
import socket
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eegfm import errors
from eegfm.errors import EegfmError, RecordingError, TrainingError
from eegfm.files import write_atomically
from eegfm.json_text import parse_json
from eegfm.printable import one_line
from eegfm.stopping import Stopped

logger = logging.getLogger(__name__)

FOLDER_PREFIX = ".eegfm-ranks-"
"""How the name of a job's own folder begins."""
_PARENT_ENDS = "parent-ends"
RUNNING, DONE, FAILED, STOPPED = "running", "done", "failed", "stopped"
RANK_GRACE_S = 60.0
"""Seconds that ranks have to end after a signal: the step, and the save of a large model to a slow disk."""
_N_TRACE_LINES = 30
_N_SHOWN_LINES = 20
_LOST_PEER = re.compile(r"gloo|nccl|connection (was )?(closed|reset|refused)|broken pipe|TCPStore", re.IGNORECASE)
"""Errors of a rank whose partner is gone. The partner's own error says more."""
_EXIT_CODE = re.compile(r"exitcode\s*:\s*(-?\d+) \(pid: (\d+)\)")
_AGAIN = "start the same command again"


@dataclass(frozen=True)
class RankState:
    """Facts about one rank.

    Args:
        rank: Its number among all.
        pid: Number of its process.
        host: Its machine.
        state: ``running``, ``done``, ``failed`` or ``stopped`` by a signal.
        kind: Name of the class of the error of a rank that failed.
        text: Message of the error; of a rank that was stopped, what it says about its work.
        numbers: errno, text and file of an error of the operating system.
        trace: Last lines of the traceback.
        time_s: When it ended.
    """

    rank: int
    pid: int
    host: str
    state: str = RUNNING
    kind: str = ""
    text: str = ""
    numbers: tuple[int, str, str | None] | None = None
    trace: str = ""
    time_s: float = 0.0

    @property
    def is_alone(self) -> bool:
        """Tell whether it failed only because another rank was gone."""
        said = f"{self.kind}: {self.text}"
        return self.state == FAILED and not hasattr(errors, self.kind) and bool(_LOST_PEER.search(said))


def this_rank(rank: int) -> RankState:
    """Describe the rank that runs in this process."""
    return RankState(rank, os.getpid(), socket.gethostname())


def write(folder: Path, state: RankState) -> None:
    """Say what is known of a rank."""
    write_atomically(folder / f"rank-{state.rank}.json", json.dumps(asdict(state)).encode())


def end(folder: Path, begun: RankState, error: BaseException | None) -> None:
    """Say how a rank ended."""
    now = replace(begun, time_s=time.time())
    if error is None:
        now = replace(now, state=DONE)
    elif not isinstance(error, Exception):
        now = replace(now, state=STOPPED, text=error.after if isinstance(error, Stopped) else "")
    else:
        lines = "".join(traceback.format_exception(error)).splitlines()[-_N_TRACE_LINES:]
        now = replace(now, state=FAILED, kind=type(error).__name__, text=str(error), trace="\n".join(lines))
        if isinstance(error, OSError) and error.errno is not None:
            name = None if error.filename is None else os.fsdecode(error.filename)
            now = replace(now, numbers=(error.errno, error.strerror or "", name))
    write(folder, now)


def states(folder: Path) -> list[RankState]:
    """Read what the ranks have said of themselves, by their number."""
    found = [_state(parse_json(path.read_bytes())) for path in folder.glob("rank-*.json")]
    return sorted(found, key=lambda state: state.rank)


def keep_for_parent(folder: Path) -> None:
    """Say that the parent still reads the folder: it is about to close the pipe that ranks take it for gone by."""
    (folder / _PARENT_ENDS).touch()


def remove_orphaned(folder: Path, n_ranks: int) -> None:
    """Remove the folder of a job whose parent is gone, as the last rank that ends. Other folders than jobs' own stay.

    Args:
        folder: Folder of the job.
        n_ranks: Ranks in all. As long as one of them may still say how it ends, the folder stays.
    """
    if not folder.name.startswith(FOLDER_PREFIX) or (folder / _PARENT_ENDS).exists():
        return
    known = states(folder)
    if len(known) == n_ranks and all(state.state != RUNNING for state in known):
        shutil.rmtree(folder, ignore_errors=True)


def last_words(folder: Path) -> str:
    """Read what the first rank that was stopped says about its work; empty if none was."""
    return next((state.text for state in states(folder) if state.state == STOPPED), "")


def all_done(folder: Path, n_ranks: int) -> bool:
    """Tell whether every rank has done its work; it may have crashed while its libraries were unloaded."""
    return [state.state for state in states(folder)] == [DONE] * n_ranks


def cause(
    folder: Path, n_ranks: int, gone: Sequence[int], output: Sequence[str], starter: tuple[int, int]
) -> Exception:
    """Find the error that ended a job.

    Args:
        folder: Folder of the job.
        n_ranks: Ranks in all.
        gone: Ranks in the order in which they disappeared.
        output: Lines that the ranks and their starter printed.
        starter: Number and exit code of the process that started them.
    """
    known = states(folder)
    failed = sorted((s for s in known if s.state == FAILED and not s.is_alone), key=lambda s: s.time_s)
    if failed:
        return _rebuilt(failed[0], n_ranks)
    if starter[1] < 0:
        return TrainingError(
            f"torch.distributed.run (process {starter[0]}), which started the {n_ranks} ranks, was killed by signal "
            f"{-starter[1]}; the ranks were ended; {_AGAIN}"
        )
    codes = {int(pid): int(code) for code, pid in _EXIT_CODE.findall("\n".join(output))}
    silent = {s.rank: s for s in known if s.state == RUNNING and codes.get(s.pid) != -signal.SIGTERM}
    for rank in [*gone, *silent]:
        if rank in silent:
            return _killed(silent[rank], n_ranks, codes.get(silent[rank].pid, 0))
    for state in known:
        if state.is_alone:
            return _rebuilt(state, n_ranks)
    for state in known:
        if state.state == STOPPED:
            return TrainingError(
                f"rank {state.rank} of {n_ranks} was told to stop from outside; {state.text or _AGAIN}"
            )
    for line in output[:_N_SHOWN_LINES]:  # what a rank says comes before the report of its starter
        logger.error("%s", one_line(line))
    return TrainingError(f"the {n_ranks} processes of the training did not start; the log above says why")


def _rebuilt(state: RankState, n_ranks: int) -> Exception:
    """Make the error of a rank anew in this process. Only errors of this project and of the system keep their class."""
    kind = getattr(errors, state.kind, None)
    if isinstance(kind, type) and issubclass(kind, EegfmError) and kind is not RecordingError:
        return kind(state.text)
    if state.numbers is not None:
        return OSError(*state.numbers)
    first = one_line(next(iter(state.text.splitlines()), ""))
    if state.kind == "OutOfMemoryError":
        return TrainingError(
            f"the GPU's memory is full on rank {state.rank}: {first.partition('. ')[0]}; lower batch_size, or choose a "
            "smaller encoder"
        )
    logger.error("Rank %d ended with an error:\n%s", state.rank, state.trace)
    return TrainingError(
        f"rank {state.rank} of {n_ranks} failed: {state.kind}: {first}; the log above has its last lines"
    )


def _killed(state: RankState, n_ranks: int, code: int) -> TrainingError:
    how = f"was killed by signal {-code}" if code < 0 else "was killed or crashed"
    memory = " (Linux does that where memory is full)" if code in {0, -9} else ""
    return TrainingError(
        f"rank {state.rank} of {n_ranks} (process {state.pid} on {state.host}) {how}{memory}; its other ranks were "
        f"ended; {_AGAIN}"
    )


def _state(content: dict[str, Any]) -> RankState:
    numbers = content.pop("numbers")
    return RankState(**content, numbers=None if numbers is None else tuple(numbers))
