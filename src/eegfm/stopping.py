"""End a run on SIGTERM or Ctrl-C with one line and the shell's exit code of the signal."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import ClassVar

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE_S = 5.0
"""Seconds that a run has to clean up. After them the run ends as in a crash, and every step survives a crash."""

AFTER_A_RUN = (
    "finished work is kept, unfinished work is not used; start the same command again "
    "(a training starts from the beginning)"
)
_NO_SIGNAL = b"\0"
_RAISE_LATER_S = 0.01
_CTRL_C = {signal.SIGINT: " (Ctrl-C)"}


class Stopped(SystemExit):
    """The run was told to stop. This is no ``Exception``, so no handler of exceptions catches it.

    Args:
        number: Number of the signal.
        after: What the user is told about what is left, and about how to go on.
    """

    def __init__(self, number: int, after: str = AFTER_A_RUN) -> None:
        super().__init__(128 + number)
        self.number = signal.Signals(number)
        self.after = after

    @property
    def line(self) -> str:
        """The line for the user."""
        return f"eegfm: error: stopped by {self.number.name}{_CTRL_C.get(self.number, '')}; {self.after}\n"


def stop_before_the_run(command: Sequence[str]) -> None:
    """Print the line and end on a signal while ``kedro run`` loads. ``stoppable`` takes over afterwards.

    Args:
        command: Command of this process. Nothing is done for other commands than ``kedro run``, or for a worker
            process, which has the command of its parent.
    """
    words = [word for word in command[1:] if not word.startswith("-")]
    is_kedro = Path(command[0]).stem == "kedro" or Path(command[0]).parent.name == "kedro"  # python -m kedro
    if not is_kedro or words[:1] != ["run"] or _Stop.current or multiprocessing.parent_process() is not None:
        return

    def end(number: int, frame: FrameType | None) -> None:
        os.write(2, Stopped(number).line.encode())
        os._exit(128 + number)

    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)


@contextmanager
def stoppable(after: str = AFTER_A_RUN) -> Iterator[None]:
    """End the block with ``Stopped`` and one line on SIGTERM and Ctrl-C.

    Cleaning up may take ``GRACE_S``. After this time the process is ended, even if it swallows the exception, waits for
    a running thread, or is inside a library. A second signal ends the run at once. Signals that the caller ignores stay
    ignored. Outside the main thread, and inside another ``stoppable``, nothing changes.

    Args:
        after: What the line says about what is left, and about how to go on.

    Raises:
        Stopped: A signal came.
    """
    if threading.current_thread() is not threading.main_thread() or _Stop.current:
        yield
        return
    stop = _Stop(after)
    try:
        yield
    except BaseException:
        stop.uninstall()
        # An error during the cleanup of a stopped run is not the cause of its end.
        if stop.number is None:
            raise
    else:
        stop.uninstall()
    if stop.number is not None:
        stop.say()
        raise Stopped(stop.number)


class _Stop:
    """Handlers of the signals, and the thread that ends a run if it does not end by itself."""

    current: ClassVar["_Stop | None"] = None

    def __init__(self, after: str) -> None:
        self.number: int | None = None
        self._after = after
        self._is_handled = self._is_said = False
        self._is_known = threading.Event()
        self._before = {n: signal.signal(n, self._handle) for n in SIGNALS if signal.getsignal(n) != signal.SIG_IGN}
        # Bytes arrive here even while the main thread is inside a library and no handler can run.
        self._ends = os.pipe()
        os.set_blocking(self._ends[1], False)
        self._wakeup_before = signal.set_wakeup_fd(self._ends[1], warn_on_full_buffer=False)
        self._unraisable_before, sys.unraisablehook = sys.unraisablehook, self._raise_later
        threading.Thread(target=self._watch, name="eegfm-stop", daemon=True).start()
        _Stop.current = self

    def uninstall(self) -> None:
        """Restore the previous handlers, and wait until it is known whether a signal came."""
        _Stop.current = None
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._unraisable_before
        # Closing the pipe is not enough: a process that was forked meanwhile, such as Kedro's manager, holds it open.
        os.write(self._ends[1], _NO_SIGNAL)
        os.close(self._ends[1])
        self._is_known.wait()

    def forget(self) -> None:
        """Reset the handlers in a process forked from the run. Only the parent ends on Ctrl-C."""
        _Stop.current = None
        sys.unraisablehook = self._unraisable_before
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def say(self) -> None:
        """Tell the user, once."""
        if self.number is not None and not self._is_said:
            self._is_said = True
            sys.stdout.flush()
            sys.stderr.write(Stopped(self.number, self._after).line)
            sys.stderr.flush()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._is_handled:
            self._end(number)
        self._is_handled, self.number = True, number
        raise Stopped(number)

    def _raise_later(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """Send the signal again if it came in a destructor or a callback, from which Python lets no exception out."""
        if isinstance(unraisable.exc_value, Stopped) and self.number is not None:
            threading.Timer(_RAISE_LATER_S, self._raise_again, [self.number]).start()
        else:
            self._unraisable_before(unraisable)

    def _raise_again(self, number: int) -> None:
        self._is_handled = False
        os.kill(os.getpid(), number)

    def _watch(self) -> None:
        numbers = {int(number) for number in self._before}
        while (came := os.read(self._ends[0], 1)) != _NO_SIGNAL:
            if came[0] in numbers:
                self.number = came[0]  # set here too, because some libraries replace our handler
                self._is_known.set()
                time.sleep(GRACE_S)
                self._end(came[0])
        self._is_known.set()
        os.close(self._ends[0])

    def _end(self, number: int) -> None:
        """End this process and its children at once."""
        if not self._is_said:
            self._is_said = True
            os.write(2, Stopped(number, self._after).line.encode())
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(128 + number)


class _Fork(threading.local):
    """Block signals while a process is forked from the run. A signal to the child must not reach our handlers."""

    mask: set[int] | None = None

    def before(self) -> None:
        if _Stop.current is not None:
            self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)

    def in_parent(self) -> None:
        if self.mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
        self.mask = None

    def in_child(self) -> None:
        if _Stop.current is not None:
            _Stop.current.forget()
        self.in_parent()


if hasattr(os, "register_at_fork"):
    _fork = _Fork()
    os.register_at_fork(before=_fork.before, after_in_parent=_fork.in_parent, after_in_child=_fork.in_child)
