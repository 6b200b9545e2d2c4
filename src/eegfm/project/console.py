"""Show errors to the user: one line for an error that the user can mend, a traceback for a bug of this project."""

import re
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType

from kedro.config import MissingConfigException
from kedro.validation import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from eegfm.errors import EegfmError
from eegfm.printable import make_logs_printable, printable
from eegfm.printable import one_line as as_one_line
from eegfm.project import os_errors, streams


def install() -> None:
    """Print errors of users as one line, and leave all other errors unchanged."""
    sys.excepthook = _excepthook
    make_logs_printable()
    streams.install(one_line)


def one_line(error: BaseException) -> str | None:
    """The line that tells a user what to mend, or None for a bug of this project.

    Kedro wraps errors of catalog datasets and parameters, so the chain of causes is searched. The line is printable,
    whatever names of files or channels it holds.
    """
    line = _line(error)
    return None if line is None else as_one_line(line)


def _line(error: BaseException) -> str | None:
    for cause in _causes(error):
        if isinstance(cause, ValidationError):
            return _first_problem(cause)
        of_system = os_errors.line_of(cause)
        if of_system or isinstance(cause, EegfmError):
            return of_system or str(cause)
        if isinstance(cause, ParameterValidationError):
            return _parameter_problem(str(cause))
        if isinstance(cause, MissingConfigException):
            return f"{cause}; --env takes a folder under conf/, e.g. test or experiments/eegmmidb"
        if isinstance(cause, ValueError) and "Failed to find the pipeline" in str(cause):
            return " ".join(str(cause).split())
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes.

    An error that occurred by accident while another was handled is a bug of this project, so its context is no cause.
    Only omegaconf leaves the cause out on purpose.
    """
    while error is not None:
        yield error
        error = error.__cause__ or (error.__context__ if isinstance(error, OmegaConfBaseException) else None)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{error.title}: {where}: {problem['msg']} (found {problem['input']!r})"


def _parameter_problem(text: str) -> str:
    """Shorten Kedro's report to one line. It has a heading, a line per parameter, and pydantic's lines below."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    kept = [re.sub(r"\s*For further information visit \S+", "", line) for line in lines]
    return " ".join(line for line in kept if line)


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    line = one_line(error)
    if line is None:
        sys.stderr.write(printable("".join(traceback.format_exception(kind, error, trace))))
    else:
        sys.stderr.write(f"eegfm: error: {line}\n")
