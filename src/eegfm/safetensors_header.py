"""Read the header of a safetensors file before a library does: names that occur twice, and sizes that cannot be."""

import io
import os
import stat
import struct
from pathlib import Path
from typing import Any, BinaryIO

from eegfm.json_text import parse_json

MAX_HEADER_BYTES = 100_000_000
"""The limit of the format's own library."""
_LENGTH = struct.Struct("<Q")


def read_safetensors_header(path: Path) -> dict[str, Any]:
    """Read names, types, shapes and places of the tensors, and ``__metadata__``.

    Raises:
        ValueError: The file is no regular file, or its header cannot be one: longer than the file, no JSON object, or
            with a name that occurs twice.
        OSError: The file cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        return _parsed(file.read(_LENGTH.size), file, status.st_size)


def parse_safetensors_header(data: bytes) -> dict[str, Any]:
    """The same of the bytes of a whole file.

    Raises:
        ValueError: See ``read_safetensors_header``.
    """
    return _parsed(data[: _LENGTH.size], io.BytesIO(data[_LENGTH.size : MAX_HEADER_BYTES]), len(data))


def _parsed(start: bytes, rest: BinaryIO, n_file_bytes: int) -> dict[str, Any]:
    if len(start) < _LENGTH.size:
        raise ValueError("it ends before its header")
    (n_bytes,) = _LENGTH.unpack(start)
    if n_bytes > min(MAX_HEADER_BYTES, n_file_bytes - _LENGTH.size):
        raise ValueError(f"its header is said to have {n_bytes} bytes, the file has {n_file_bytes}")
    header = parse_json(rest.read(n_bytes), strict=True)
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header
