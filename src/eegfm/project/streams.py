"""Bring what is printed to the user, whatever the terminal's encoding, and no more than once."""

import io
import logging
import sys
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)

Explain = Callable[[BaseException], str | None]
"""Gives the line for a user, or None for a bug of this project."""


def install(explain: Explain) -> None:
    """Prepare output, threads and logs of this process.

    - A character that the terminal's encoding lacks is replaced by its escape. Otherwise it would end the run.
    - An error of a thread that a user can mend is one line of the log. The main thread raises it too.
    - A log that cannot be written (``kedro run > log`` on a full disk, ``kedro run | head``) is said once.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    threading.excepthook = _thread_hook(explain)
    # The method of all handlers is replaced, which mypy takes for a mistake.
    logging.Handler.handleError = _log_hook(explain)  # type: ignore[assignment, method-assign]


def _thread_hook(explain: Explain) -> Callable[[threading.ExceptHookArgs], None]:
    before = getattr(threading.excepthook, "before", threading.excepthook)

    def say(args: threading.ExceptHookArgs) -> None:
        line = explain(args.exc_value) if args.exc_value is not None else None
        if line is None:
            before(args)
        else:
            _log.warning("%s", line)

    # A second installation finds the hook before the first. mypy knows no attributes of functions.
    say.before = before  # type: ignore[attr-defined]
    return say


def _log_hook(explain: Explain) -> Callable[[logging.Handler, logging.LogRecord], None]:
    is_said = threading.Event()

    def say(handler: logging.Handler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        line = explain(error) if error is not None else None
        if isinstance(error, BrokenPipeError):
            line = "the program that reads them has ended"
        if line is None:
            _ORIGINAL(handler, record)
        elif not is_said.is_set():
            is_said.set()
            sys.stderr.write(f"eegfm: warning: log lines are lost: {line}\n")

    return say


_ORIGINAL = logging.Handler.handleError
