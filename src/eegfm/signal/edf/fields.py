"""Header fields of EDF and BDF as text: their positions, and strict parsing of numbers.

Sources: Kemp et al. 1992 (EDF), Kemp & Olivan 2003 (EDF+), BioSemi's description of BDF.
"""

import re
from pathlib import Path

from eegfm.errors import RecordingError
from eegfm.signal.sniff import first_bytes
from eegfm.signal.text import stripped

FIXED_BYTES = 256
CHANNEL_BYTES = 256
# Names and widths of the header's fields, in file order.
FIXED_FIELDS = {
    "version": 8,
    "patient": 80,
    "recording": 80,
    "start date": 8,
    "start time": 8,
    "header bytes": 8,
    "reserved": 44,
    "number of records": 8,
    "record duration": 8,
    "number of signals": 4,
}
CHANNEL_FIELDS = {
    "label": 16,
    "transducer": 80,
    "unit": 8,
    "physical minimum": 8,
    "physical maximum": 8,
    "digital minimum": 8,
    "digital maximum": 8,
    "prefilter": 80,
    "samples per record": 8,
    "reserved": 32,
}
WORDS = frozenset({"label", "unit"})
"""Fields that are compared as words. Blanks of every kind around them have no meaning."""
FETCH_AGAIN = "fetch the file again or repair its header"

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class Fields:
    """Numbers and faults of one file's header; collects flags.

    Args:
        file_name: Name for messages.
    """

    def __init__(self, file_name: str) -> None:
        self.file_name = file_name
        self.flags: set[str] = set()

    def fail(self, code: str, found: str, remedy: str = FETCH_AGAIN) -> RecordingError:
        """Make the error that rejects this file."""
        return RecordingError(code, f"{self.file_name}: {found}", remedy)

    def integer(self, text: str, field: str) -> int:
        """Parse a whole number.

        Raises:
            RecordingError: The text is no whole number (``not_a_number``).
        """
        if not _INTEGER.fullmatch(text):
            raise self.fail("not_a_number", f"{field} is {text!r}, not a whole number")
        return int(text)

    def decimal(self, text: str, field: str) -> float:
        """Parse a number; a decimal comma is flagged.

        Raises:
            RecordingError: The text is no number, or is beyond any physical value (``not_a_number``).
        """
        if not _DECIMAL.fullmatch(text):
            raise self.fail("not_a_number", f"{field} is {text!r}, not a number")
        if "," in text:
            self.flags.add("decimal_comma")
        value = float(text.replace(",", "."))
        if abs(value) > 1e12:
            raise self.fail("not_a_number", f"{field} is {text!r}, beyond any physical value")
        return value


def fixed_columns(start: bytes) -> dict[str, str]:
    """Split the first 256 bytes into fields."""
    out, at = {}, 0
    for name, width in FIXED_FIELDS.items():
        out[name] = _text(start[at : at + width])
        at += width
    return out


def channel_columns(fields: Fields, path: Path, n_signals: int) -> dict[str, list[str]]:
    """Read the fields of all channels, one list per field.

    Raises:
        RecordingError: The file ends inside its header (``truncated_header``).
    """
    n_bytes = FIXED_BYTES + CHANNEL_BYTES * n_signals
    raw = first_bytes(path, n_bytes)
    if len(raw) < n_bytes:
        raise fields.fail("truncated_header", f"{len(raw)} bytes, the header of {n_signals} signals takes {n_bytes}")
    if not raw[1:].isascii():  # the first byte of BDF is 255 by definition
        fields.flags.add("non_ascii_header")
    columns, at = {}, FIXED_BYTES
    for name, width in CHANNEL_FIELDS.items():
        columns[name] = [_text(raw[at + i * width : at + (i + 1) * width]) for i in range(n_signals)]
        if name in WORDS:
            columns[name] = [stripped(text) for text in columns[name]]
        at += width * n_signals
    return columns


def _text(raw: bytes) -> str:
    """Header text: ASCII by the standard, UTF-8 or Latin-1 in practice; blanks and NULs are padding."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.strip(" \0\t")
