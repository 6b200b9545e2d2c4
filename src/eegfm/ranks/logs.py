"""Carry log records from the ranks to the process that started them, as lines of JSON on the standard output."""

import json
import logging
import os
import sys
from contextlib import suppress
from typing import Any

from eegfm.json_text import parse_json

LEVELS_VARIABLE = "EEGFM_RANK_LOG_LEVELS"
_MARK = "\x1eeegfm-log "
_MOST_BYTES = 4000
"""Several ranks write into one pipe. POSIX keeps writes of up to 4096 bytes in one piece."""
_LOGGERS = ("", "eegfm", "lightning")


class _ToParent(logging.Handler):
    """Write each record as one line."""

    def __init__(self, rank: int) -> None:
        super().__init__(logging.NOTSET if rank == 0 else logging.WARNING)
        self._prefix = f"rank {rank}: " if rank else ""

    def emit(self, record: logging.LogRecord) -> None:
        text = self._prefix + self.format(record)
        line = _line(record, text)
        if len(line) > _MOST_BYTES:
            line = _line(record, text[: _MOST_BYTES // 8] + " …")
        with suppress(BrokenPipeError):  # nobody reads it: the parent was killed, and this rank is about to end
            os.write(sys.stdout.fileno(), line)


def _line(record: logging.LogRecord, text: str) -> bytes:
    content = {"name": record.name, "level": record.levelno, "path": record.pathname, "line": record.lineno}
    return f"{_MARK}{json.dumps({**content, 'text': text}, ensure_ascii=False)}\n".encode(errors="backslashreplace")


def levels() -> str:
    """Write down the levels of this process's loggers, for ``LEVELS_VARIABLE`` of its ranks."""
    return json.dumps({name: logging.getLogger(name).getEffectiveLevel() for name in _LOGGERS})


def log_to_parent(rank: int) -> None:
    """Send what this rank logs to the process that started it; of ranks beyond the first, warnings and errors."""
    root = logging.getLogger()
    root.handlers[:] = [_ToParent(rank)]
    for name, level in parse_json(os.environ.get(LEVELS_VARIABLE, "{}")).items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(rank == 0)  # other ranks are warned of the same


def replay(line: str) -> bool:
    """Log what a rank logged.

    Returns:
        False if the line is none of ``log_to_parent``; it is then not logged.
    """
    head, mark, text = line.partition(_MARK)
    if not mark or head.strip():
        return False
    try:
        said: dict[str, Any] = parse_json(text)
        logger, level = logging.getLogger(said["name"]), int(said["level"])
        record = logger.makeRecord(said["name"], level, said["path"], said["line"], said["text"], (), None)
    except (ValueError, KeyError, TypeError):
        return False
    if logger.isEnabledFor(level):
        logger.handle(record)
    return True
