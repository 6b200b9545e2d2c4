"""The inside of a rank: it says how it ends, logs to its parent, and ends with it."""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from eegfm.ranks import ends
from eegfm.ranks.logs import LEVELS_VARIABLE, log_to_parent
from eegfm.ranks.place import Place
from eegfm.stopping import stoppable

_FAILED = 1


@contextmanager
def as_rank(folder: Path) -> Iterator[Place]:
    """Run the block as a rank of the job of this folder.

    The process ends with the block, at once: the folder has its error for the parent. An orderly end takes seconds to
    unload libraries, and some of them wait for ranks that are gone.
    """
    place = Place.of_environment()
    begun = ends.this_rank(place.rank)
    try:
        with stoppable(hears_once=True):
            ends.write(folder, begun)
            log_to_parent(place.rank)
            if _has_parent():
                threading.Thread(target=_end_with_parent, name="eegfm-parent", daemon=True).start()
            yield place
    except BaseException as error:  # noqa: BLE001 - carried over to the parent, and raised there
        ends.end(folder, begun, error)
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else _FAILED
    else:
        ends.end(folder, begun, None)
        code = 0
    if _has_parent() and _parent_is_gone():  # one that was killed has left the folder behind
        ends.remove_orphaned(folder, place.n_ranks)
    _leave(code)


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _has_parent() -> bool:
    """Return whether a command started this rank; on some nodes a user starts ranks by hand."""
    return LEVELS_VARIABLE in os.environ


def _parent_is_gone() -> bool:
    """Return whether the pipe to the parent is closed: it never writes, so something to read is its end."""
    return bool(select.select([0], [], [], 0)[0])


def _end_with_parent() -> None:
    """End when the parent does, however it does: the standard input is a pipe that it holds open and never writes.

    The rank saves its work, as after a signal. What it says on the way goes nowhere, where nothing fails.
    """
    while os.read(0, 1):
        pass
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(ends.RANK_GRACE_S)
    os._exit(_FAILED)
