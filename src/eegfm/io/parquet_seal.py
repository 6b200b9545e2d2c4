"""Checksums inside a Parquet file, between its columns and its footer. Other readers ignore these bytes.

The footer states the place of each column, so bytes between the last column and the footer belong to no column.
Checksums are compared before Arrow parses anything, because Arrow's behaviour on damaged bytes is undefined.
"""

import hashlib
import os
from pathlib import Path

_MARK = b"eegfm: sha256 of columns, of end"
_N_SHA = 32
_N_SEAL = len(_MARK) + 2 * _N_SHA
_N_TAIL = 8
"""A Parquet file ends with the length of its footer (4 bytes) and "PAR1"."""


def sealed(parquet: bytes) -> bytes:
    """The same file with checksums of its columns and of its footer."""
    start = len(parquet) - _N_TAIL - _footer_n_bytes(parquet[-_N_TAIL:])
    columns, footer = parquet[:start], parquet[start:]
    seal = _MARK + _sha256(columns)
    return columns + seal + _sha256(seal + footer) + footer


def footer_is_whole(path: Path) -> bool:
    """True if a file's footer, with the schema and the record, is the one that was written. Columns are not read."""
    with path.open("rb") as file:
        n_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, n_bytes - _N_TAIL))
        file.seek(max(0, n_bytes - _end_n_bytes(file.read())))
        return _columns_sha256(file.read()) is not None


def is_whole(parquet: bytes) -> bool:
    """True if all bytes are those that were written; not for files that were not sealed."""
    n_columns = max(0, len(parquet) - _end_n_bytes(parquet[-_N_TAIL:]))
    return _columns_sha256(parquet[n_columns:]) == _sha256(memoryview(parquet)[:n_columns])


def _footer_n_bytes(tail: bytes) -> int:
    return int.from_bytes(tail[:4], "little")


def _end_n_bytes(tail: bytes) -> int:
    """Length of checksums, footer and tail together."""
    return _N_SEAL + _footer_n_bytes(tail) + _N_TAIL


def _columns_sha256(end: bytes) -> bytes | None:
    """Checksum of the columns as the end of a file says it; None where the end is damaged or was not sealed."""
    seal, own, footer = end[: _N_SEAL - _N_SHA], end[_N_SEAL - _N_SHA : _N_SEAL], end[_N_SEAL:]
    is_whole = seal.startswith(_MARK) and _sha256(seal + footer) == own
    return seal[len(_MARK) :] if is_whole else None


def _sha256(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).digest()
