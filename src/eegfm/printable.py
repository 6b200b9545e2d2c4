r"""Make text from files printable: names, labels and notes may hold codes that control a terminal.

Tables, records and errors keep the text as it is. It is changed where it leaves the program: in log lines, in the line
of an error, and on the page. An escape code is then visible text, ``\x1b[31m``, and no colour.
"""

import logging
from typing import Any

_KEPT = frozenset("\n\t")


def printable(text: str) -> str:
    r"""Replace each character that is no visible one by its escape, e.g. ``\x1b``; lines and tabs stay.

    Such are control characters, marks that turn the direction of writing, and bytes that are no UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _KEPT else _escaped(c) for c in text)


def one_line(text: str) -> str:
    r"""Like ``printable``, but line ends and tabs become ``\n``, ``\r`` and ``\t``, so that the text is one line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def make_logs_printable() -> None:
    """Make the messages of all loggers of this process printable, for every handler."""
    if logging.getLogRecordFactory() is logging.LogRecord:
        logging.setLogRecordFactory(PrintableRecord)


class PrintableRecord(logging.LogRecord):
    """A log record whose message and traceback are printable.

    Only a message that is written in several lines has several lines. A name that holds a line end cannot forge one.
    """

    def getMessage(self) -> str:  # noqa: N802  name of the standard library
        """The message with its arguments."""
        text = super().getMessage()
        return printable(text) if "\n" in str(self.msg) else one_line(text)

    def __setattr__(self, name: str, value: Any) -> None:
        # A formatter leaves the text of a traceback here.
        super().__setattr__(name, printable(value) if name == "exc_text" and isinstance(value, str) else value)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
