"""Replacements for a worker's task: some files kill the process, some only once, some hang."""

import os
import signal
import time
from collections.abc import Sequence

from eegfm.errors import StoreError
from eegfm.jobs.ingest import workers
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.store.index import RejectedEntry


class Dying:
    """Stands in for ``attempt``; files go by their names without suffix. Every start leaves a line in a log."""

    def __init__(
        self,
        poison: Sequence[str] = (),
        once: Sequence[str] = (),
        hang: Sequence[str] = (),
        full: Sequence[str] = (),
    ) -> None:
        self.poison, self.once, self.hang, self.full = poison, once, hang, full

    def __call__(self, task: Task) -> Converted | RejectedEntry:
        """Run the real thing with a ``convert`` that may be its end."""
        workers.convert = self._convert
        return workers.attempt(task)

    def _convert(self, task: Task) -> Converted | RejectedEntry:
        name, folder = str(task.row["path"]).removesuffix(".edf"), task.spool.parent
        with (folder / "log").open("a") as log:
            log.write(f"{name}\n")
        died = folder / f"{name}.died"
        if name in self.poison or (name in self.once and not died.exists()):
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if name in self.hang:
            time.sleep(60)
        if name in self.full:
            raise StoreError("disk full")
        return convert(task)


class Unreadable:
    """Ends the worker while it unpacks its task."""

    def __call__(self, task: Task) -> Converted | RejectedEntry:
        """Never called."""
        raise AssertionError

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (1,)
