"""Read variables of MATLAB files, of version 5 or 7.3."""

from pathlib import Path

from eegfm.errors import RecordingError
from eegfm.signal.matlab.values import Budget, DamagedFileError, Value, Wanted
from eegfm.signal.sniff import HDF5_MAGIC


def read_variables(path: Path, wanted: Wanted, max_bytes: int) -> dict[str, Value]:
    """Read variables and the fields of structs by name.

    Args:
        path: A MATLAB file of version 5 or 7.3.
        wanted: Names to read. Other contents of the file are skipped, whatever their size.
        max_bytes: Most memory that the result may take.

    Returns:
        The wanted variables that the file holds.

    Raises:
        RecordingError: The file is damaged (``matlab_unreadable``), takes too much memory (``too_large``), or
            leads into other files (``data_outside_folder``).
    """
    from eegfm.signal.matlab.mat5 import read_mat5
    from eegfm.signal.matlab.mat73 import read_mat73

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
