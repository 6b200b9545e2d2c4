"""Decode side files. They are UTF-8 by their standards, but spreadsheets and older systems write other encodings."""

import codecs
import re
from pathlib import Path
from typing import NamedTuple

from eegfm.corpora.side_file_limits import MAX_TABLE_BYTES, check_bytes

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f]")
"""Bytes that no text in an 8-bit encoding has. Damage and compression leave them."""


class Text(NamedTuple):
    """Content of a text file.

    Args:
        text: Its lines end in a line feed, whatever the file has.
        is_utf8: False for every other encoding; its letters beyond ASCII may have been taken for others.
    """

    text: str
    is_utf8: bool


def decode_file(path: Path, *, keeps_bytes: bool = False, max_bytes: int = MAX_TABLE_BYTES) -> Text:
    """Read a text file in UTF-8, in UTF-16 or UTF-32, or in an 8-bit encoding.

    UTF-16 needs no byte order mark if the file starts with two ASCII characters, as tables and JSON do. What is no
    UTF-8 is taken for Windows-1252, which contains the printable characters of Latin-1.

    Args:
        path: The file.
        keeps_bytes: Bytes that are no UTF-8 become lone surrogates, as in the names that the system gives to files.
        max_bytes: Size of the largest file that is read.

    Raises:
        ValueError: The file is no text, no regular file, or too large.
        OSError: The file cannot be read.
    """
    check_bytes(path, max_bytes)
    raw = path.read_bytes()
    encoding = _encoding(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        if not encoding.startswith("utf-8"):
            raise ValueError(f"its bytes are no {encoding.upper()}: {error.reason}") from error
        if keeps_bytes:
            return Text(_with_plain_ends(raw.decode("utf-8-sig", "surrogateescape")), is_utf8=False)
        control = _CONTROL.search(raw)
        if control:
            line = raw[: control.start()].count(b"\n") + 1
            raise ValueError(f"it is no text: byte {control[0][0]:#04x} in line {line}") from error
        text, encoding = _western(raw), "windows-1252"
    return Text(_with_plain_ends(text), encoding in ("utf-8", "utf-8-sig"))


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding(raw: bytes) -> str:
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return encoding
    zeros = [byte == 0 for byte in raw[:4]]
    if zeros == [False, True, False, True]:
        return "utf-16-le"
    return "utf-16-be" if zeros == [True, False, True, False] else "utf-8"


def _western(raw: bytes) -> str:
    try:
        return raw.decode("windows-1252")
    except UnicodeDecodeError:  # five bytes have no meaning there
        return raw.decode("latin-1")
