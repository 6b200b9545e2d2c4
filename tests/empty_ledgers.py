"""Books of looks at test sets in which nothing is written yet."""

import tempfile
from pathlib import Path

_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
"""They are removed when the tests end."""


def empty_ledger() -> Path:
    """Return the folder of a new book."""
    _FOLDERS.append(tempfile.TemporaryDirectory())
    return Path(_FOLDERS[-1].name) / "test_ledger"
