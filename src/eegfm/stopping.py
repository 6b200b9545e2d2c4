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

SIGNALS = (signal.SIGTERM, signal.SIGINT, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else []))
"""SIGUSR1 is the warning that SLURM sends some time before the end of a job; it counts as SIGTERM."""
GRACE_S = 5.0
"""Seconds that a run has to clean up. After them the run ends as in a crash, and every step survives a crash."""
DEFERRED_GRACE_S = 120.0
"""Seconds that a block which ends itself has to come to that point: the step and the save of a large model."""

AFTER_A_RUN = (
    "finished work is kept, unfinished work is not used; start the same command again "
    "(a training goes on from its last checkpoint)"
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
        super().__init__(exit_code(number))
        self.number = signal.Signals(number)
        self.after = after

    @property
    def line(self) -> str:
        """The line for the user."""
        return f"eegfm: error: stopped by {self.number.name}{_CTRL_C.get(self.number, '')}; {self.after}\n"


def exit_code(number: int) -> int:
    """Exit code of a run that a signal has ended: the shell's, and that of SIGTERM for SIGUSR1."""
    return 128 + (number if number == signal.SIGINT else signal.SIGTERM)


class Deferral:
    """Note of a signal that has come to a block that ends itself, see ``deferred``."""

    def __init__(self, stop: "_Stop | None") -> None:
        self.number: int | None = None
        self.is_over = threading.Event()
        self._stop = stop

    def end(self, after: str) -> None:
        """End the block if a signal came; do nothing otherwise.

        Args:
            after: What the user is told about what is left, and about how to go on.

        Raises:
            Stopped: A signal came.
        """
        if self.number is not None:
            if self._stop is not None:
                self._stop.after = after
            raise Stopped(self.number, after)


@contextmanager
def deferred() -> Iterator[Deferral]:
    """Let a block of a ``stoppable`` run end by itself after a signal, where its work is saved.

    The block looks at ``number`` now and then, saves, and calls ``end``. It has ``DEFERRED_GRACE_S`` for that. A second
    signal ends the process at once, so that what is saved must be whole at any moment. Outside the main thread and
    outside ``stoppable`` no signal is ever seen.

    Yields:
        What the block looks at.
    """
    stop = _Stop.current if threading.current_thread() is threading.main_thread() else None
    deferral = Deferral(stop)
    if stop is not None:
        stop.deferral = deferral
    try:
        yield deferral
    finally:
        deferral.is_over.set()
        if stop is not None:
            stop.deferral = None


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
        os._exit(exit_code(number))

    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)


@contextmanager
def stoppable(after: str = AFTER_A_RUN, *, is_program: bool = True, hears_once: bool = False) -> Iterator[None]:
    """End the block with ``Stopped`` and one line on SIGTERM and Ctrl-C.

    Cleaning up may take ``GRACE_S``. After this time the process is ended, even if it swallows the exception, waits for
    a running thread, or is inside a library. A second signal ends the run at once. Signals that the caller ignores stay
    ignored. Outside the main thread, and inside another ``stoppable``, nothing changes.

    Args:
        after: What the line says about what is left, and about how to go on.
        is_program: Whether the block is all that its process is there for. The process is then ended after ``GRACE_S``
            even when the block has ended already, e.g. if it waits for threads.
        hears_once: Whether a second signal changes nothing. A rank gets the same signal from several sides.

    Raises:
        Stopped: A signal came.
    """
    if threading.current_thread() is not threading.main_thread() or _Stop.current:
        yield
        return
    stop = _Stop(after, is_program, hears_once)
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
        raise Stopped(stop.number, stop.after)


class _Stop:
    """Handlers of the signals, and the thread that ends a run if it does not end by itself."""

    current: ClassVar["_Stop | None"] = None

    def __init__(self, after: str, is_program: bool, hears_once: bool) -> None:
        self.number: int | None = None
        self._is_program, self._hears_once = is_program, hears_once
        self._is_over = threading.Event()
        self.after = after
        self.deferral: Deferral | None = None
        self._is_handled = self._is_said = False
        self._is_known = threading.Event()
        self._before = {number: signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}
        for number, before in self._before.items():
            signal.signal(number, before if before == signal.SIG_IGN else self._handle)
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
        self._is_over.set()
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
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)

    def say(self) -> None:
        """Tell the user, once."""
        if self.number is not None and not self._is_said:
            self._is_said = True
            sys.stdout.flush()
            sys.stderr.write(Stopped(self.number, self.after).line)
            sys.stderr.flush()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._is_handled:
            if self._hears_once:
                return
            self._end(number)
        self._is_handled, self.number = True, number
        if self.deferral is None:
            raise Stopped(number)
        self.deferral.number = number

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
        numbers = {int(number) for number, before in self._before.items() if before != signal.SIG_IGN}
        while (came := os.read(self._ends[0], 1)) != _NO_SIGNAL:
            if came[0] in numbers:
                self.number = came[0]  # set here too, because some libraries replace our handler
                self._is_known.set()
                if (deferral := self.deferral) is not None:
                    deferral.number = came[0]
                    deferral.is_over.wait(DEFERRED_GRACE_S)
                if self._is_program:
                    time.sleep(GRACE_S)
                elif self._is_over.wait(GRACE_S):
                    continue
                self._end(came[0])
        self._is_known.set()
        os.close(self._ends[0])

    def _end(self, number: int) -> None:
        """End this process and its children at once."""
        if not self._is_said:
            self._is_said = True
            os.write(2, Stopped(number, self.after).line.encode())
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(exit_code(number))


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
