"""Values of MATLAB variables, and a bound on memory that is checked before anything is inflated.

MATLAB writes two unrelated containers under one extension: its own version 5 (``-v6``, ``-v7``) and HDF5 (``-v7.3``).
Both readers return the same types, so the code that interprets fields exists once.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError

Wanted: TypeAlias = Mapping[str, "Wanted | None"]
"""Names to read. None takes the whole value, a mapping takes these fields of a struct."""
Value: TypeAlias = NDArray[np.generic] | str | list[dict[str, "Value"]] | tuple["Value", ...] | None
"""A numeric array with MATLAB's own shape, a row of characters, a struct array (one dict per element), a cell array (a
tuple of its elements), or None for other values (function handles, complex and sparse arrays). A cell array of one
element is that element."""

MAX_DEPTH = 8
"""Structs and cells inside each other. Deeper ones refer to themselves, or were made to exhaust the stack."""

# Memory of a Python value besides its bytes. An empty array takes about as much.
OBJECT_BYTES = 128
# Compression shrinks EEG to a half or a third. Only a variable below this size may shrink more, as flat test signals
# do.
SMALL_BYTES = 32 << 20
MAX_INFLATION = 100


class DamagedFileError(Exception):
    """The contents of a container contradict each other."""


def cell(elements: list[Value]) -> Value:
    """A cell array as a value."""
    return elements[0] if len(elements) == 1 else tuple(elements)


def check_depth(depth: int) -> None:
    """Refuse structs and cells that hold each other without end.

    Raises:
        DamagedFileError: The value lies too deep.
    """
    if depth > MAX_DEPTH:
        raise DamagedFileError(f"structures inside each other, more than {MAX_DEPTH} deep")


class Budget:
    """Memory that the variables of one file may take.

    Args:
        file_name: Name for messages.
        max_bytes: The limit.
    """

    def __init__(self, file_name: str, max_bytes: int) -> None:
        self._file_name = file_name
        self._max_bytes = max_bytes
        self._spent_bytes = 0

    def spend(self, n_bytes: int) -> None:
        """Count memory that is about to be used.

        Raises:
            RecordingError: The limit is exceeded (``too_large``).
        """
        self._spent_bytes += n_bytes
        if self._spent_bytes > self._max_bytes:
            raise RecordingError(
                "too_large",
                f"{self._file_name}: its variables take more than {self._max_bytes / 1e6:.0f} MB in memory",
                "save it in EEGLAB with its samples in an .fdt file, or raise ingest.reading.max_memory_bytes",
            )

    def check_inflation(self, n_bytes: int, stored_bytes: int) -> None:
        """Refuse a variable that is much larger in memory than in its file.

        Raises:
            RecordingError: No recording is compressed this much (``too_large``).
        """
        if n_bytes > SMALL_BYTES and n_bytes > MAX_INFLATION * stored_bytes:
            raise RecordingError(
                "too_large",
                f"{self._file_name}: {stored_bytes} bytes that inflate to {n_bytes / 1e6:.0f} MB; "
                f"recordings inflate less than {MAX_INFLATION}-fold",
                "leave this file out, or save it again in EEGLAB if it is known to be sound",
            )
