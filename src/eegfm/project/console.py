"""Show errors to the user: one line for an error that the user can mend, a traceback for a bug of this project."""

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType

from kedro.config import MissingConfigException
from kedro.io import DatasetError
from kedro.validation import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from eegfm.errors import EegfmError
from eegfm.printable import make_logs_printable, printable
from eegfm.printable import one_line as as_one_line
from eegfm.project import os_errors, streams


def install() -> None:
    """Print errors of users as one line, and leave all other errors unchanged.

    Kedro's own lines about a failed step are left out: they print the error a second time, and their advice
    (``--from-nodes``) is wrong where the error names another command.
    """
    sys.excepthook = _excepthook
    make_logs_printable()
    streams.install(one_line)
    logging.getLogger("kedro.pipeline.node").addFilter(_no_error)
    logging.getLogger("kedro.runner.runner").addFilter(_no_advice)
    for runner in ("sequential_runner", "thread_runner", "parallel_runner"):
        logging.getLogger(f"kedro.runner.{runner}").addFilter(_no_advice)


def _no_error(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Node %s failed")


def _no_advice(record: logging.LogRecord) -> bool:
    return not re.match(r"No nodes ran\. Repeat|There are \d+ nodes that have not run", str(record.msg))


def one_line(error: BaseException) -> str | None:
    """The line that tells a user what to mend, or None for a bug of this project.

    Kedro wraps errors of catalog datasets and parameters, so the chain of causes is searched. The line is printable,
    whatever names of files or channels it holds.
    """
    lines = (line for find in (_ours, _of_a_library) for cause in _causes(error) if (line := find(cause)))
    line = next(lines, None)
    return None if line is None else as_one_line(line)


def _ours(cause: BaseException) -> str | None:
    """The line of an error that this project or its configuration raises."""
    if isinstance(cause, ValidationError):
        return _first_problem(cause)
    of_system = os_errors.line_of(cause)
    if of_system or isinstance(cause, EegfmError):
        return of_system or str(cause)
    if isinstance(cause, ParameterValidationError):
        return _parameter_problem(str(cause))
    if isinstance(cause, MissingConfigException):
        return f"{cause}; --env takes a folder under conf/, e.g. test or experiments/eegmmidb"
    return None


def _of_a_library(cause: BaseException) -> str | None:
    """The line of an error that a library raises because of the configuration or of the machine."""
    text = " ".join(str(cause).split())
    kinds = {kind.__name__ for kind in type(cause).__mro__}
    if isinstance(cause, DatasetError) and not text.startswith("Failed "):
        return _catalog_problem(text)
    if isinstance(cause, ValueError) and (match := re.match(r"Pipeline input\(s\) (.*) not found in the", text)):
        return f"the configuration lacks {match[1]}, which a step reads; add it to the parameters or to catalog.yml"
    if "MisconfigurationException" in kinds or re.search("NVIDIA driver|not compiled with CUDA", text):
        return f"pretrain or probe: {text} Set accelerator and precision to what this machine has, e.g. accelerator=cpu"
    if "OutOfMemoryError" in kinds:
        return f"the GPU's memory is full: {text.partition('. ')[0]}; lower batch_size, or choose a smaller encoder"
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


def _catalog_problem(text: str) -> str:
    """Shorten Kedro's report about a catalog entry, which ends in advice to install packages."""
    name = re.search(r"[Dd]ataset '([^']+)'", text)
    problem = re.sub(r"^An exception occurred when parsing config for dataset '[^']+': ", "", text)
    problem = re.split(r"\.? (?:Please|Hint:|Dataset '[^']+' must only|Failed to instantiate)", problem)[0].rstrip(".")
    where = f"catalog entry {name[1]}: " if name else ""
    return f"{where}{problem}; correct the entry in catalog.yml of this environment"


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
