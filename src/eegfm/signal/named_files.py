"""Find the files that a header names and that do not share the header's own name."""

from pathlib import Path

from eegfm.errors import RecordingError
from eegfm.signal.brainvision.header import stated_files
from eegfm.signal.companions import companion
from eegfm.signal.config import ReadParams
from eegfm.signal.eeglab.fields import read_fields
from eegfm.signal.open import format_of

OTHER_NAME_FLAGS = frozenset({"fdt_other_name", "fdt_renamed", "files_other_name", "files_renamed", "markers_missing"})
"""Flags of a recording whose header names a file with another name than its own."""


def named_files(path: Path, params: ReadParams) -> tuple[Path, ...]:
    """Files in the header's folder that it names and whose name differs from its own, even if they do not exist.

    Empty if the header cannot be read or leads out of its folder. Then the header itself must change.
    """
    try:
        match format_of(path):
            case "brainvision":
                files = stated_files(path)
            case "eeglab":
                data = read_fields(path, params.max_memory_bytes).data
                files = (companion(path, data),) if isinstance(data, str) else ()
            case "edf":
                return ()
    except RecordingError:
        return ()
    return tuple(file for file in files if file.stem != path.stem)
