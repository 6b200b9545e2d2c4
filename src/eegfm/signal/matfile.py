"""Variables of MATLAB files: only those asked for, with a bound on memory that holds before anything is inflated.

MATLAB writes two unrelated containers under one extension: its own version 5 (``-v6``, ``-v7``) and HDF5 (``-v7.3``).
Both come out of here in the same shape, so that what a field means is written once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError

Wanted: TypeAlias = Mapping[str, "Wanted | None"]
"""Names to read; None takes the value whole, a mapping takes these fields of a struct."""
Value: TypeAlias = NDArray[np.generic] | str | list[dict[str, "Value"]] | None
"""A numeric array with MATLAB's own shape, a row of characters, a struct array (one dict per element), or None for
what is none of these (cells, function handles, complex and sparse arrays)."""

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
# What a value costs in Python beside its bytes; an empty array takes about as much.
OBJECT_BYTES = 128
# EEG shrinks to a half or a third; only below this size may a variable shrink at will, as flat test signals do.
SMALL_BYTES = 32 << 20
MAX_INFLATION = 100


class DamagedFileError(Exception):
    """What a container says of itself cannot be."""


class Budget:
    """Memory that the variables of one file may take.

    Args:
        file_name: For messages.
        max_bytes: The limit.
    """

    def __init__(self, file_name: str, max_bytes: int) -> None:
        self._file_name = file_name
        self._max_bytes = max_bytes
        self._spent_bytes = 0

    def spend(self, n_bytes: int) -> None:
        """Take note of memory that is about to be used.

        Raises:
            RecordingError: It is more than there is (``too_large``).
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
            RecordingError: No recording shrinks like this (``too_large``).
        """
        if n_bytes > SMALL_BYTES and n_bytes > MAX_INFLATION * stored_bytes:
            raise RecordingError(
                "too_large",
                f"{self._file_name}: {stored_bytes} bytes that inflate to {n_bytes / 1e6:.0f} MB; "
                f"recordings inflate less than {MAX_INFLATION}-fold",
                "leave this file out, or save it again in EEGLAB if it is known to be sound",
            )


def is_matlab(start: bytes) -> bool:
    """Whether a file starts as one of MATLAB's containers does; needs its first 128 bytes."""
    return start.startswith(HDF5_MAGIC) or start[124:128] in {b"\x00\x01IM", b"\x01\x00MI", b"\x00\x02IM"}


def read_variables(path: Path, wanted: Wanted, max_bytes: int) -> dict[str, Value]:
    """Read variables and the fields of structs by name.

    Args:
        path: A MATLAB file of version 5 or 7.3.
        wanted: What to read. What else the file holds is stepped over, whatever its size.
        max_bytes: Most memory that the result may take.

    Returns:
        Those of the wanted variables that the file holds.

    Raises:
        RecordingError: The file is damaged (``matlab_unreadable``), takes too much memory (``too_large``), or
            leads into other files (``data_outside_folder``).
    """
    from eegfm.signal.mat5 import read_mat5
    from eegfm.signal.mat73 import read_mat73

    budget = Budget(path.name, max_bytes)
    with path.open("rb") as file:
        start = file.read(128)
    is_hdf5 = start.startswith(HDF5_MAGIC) or start[124:126] == b"\x00\x02"
    try:
        return (read_mat73 if is_hdf5 else read_mat5)(path, wanted, budget)
    except DamagedFileError as error:
        raise RecordingError(
            "matlab_unreadable", f"{path.name}: {error}", "fetch the file again, or save it again in EEGLAB"
        ) from error
