"""End worker processes with their parent. Imports little, because a worker imports this file first."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker

PARENT_CHECK_S = 0.5


def end_with(parent: int) -> None:
    """End this process soon after its parent is gone. A killed parent cannot tell its workers to end."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Make processes and threads that start in the block ignore Ctrl-C.

    A terminal sends Ctrl-C to all processes of a command. The command's own process receives it and ends the others,
    which would each print a traceback.
    """
    if os.name != "posix":
        yield
        return
    # Start the resource tracker before. Otherwise it starts inside the block and unblocks the signal.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
