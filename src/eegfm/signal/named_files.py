"""Find the files that a header names and that do not share the header's own name."""

from pathlib import Path

from eegfm.errors import RecordingError
from eegfm.signal.brainvision.header import stated_files
from eegfm.signal.companions import companion
from eegfm.signal.config import ReadParams
from eegfm.signal.eeglab.fields import read_fields
from eegfm.signal.open import format_of

OTHER_NAME_FLAGS = frozenset({"fdt_other_name", "fdt_renamed", "files_other_name", "files_renamed", "markers_missing"})
"""Flags of a recording whose header names such a file."""


def named_files(path: Path, params: ReadParams) -> tuple[Path, ...]:
    """Files beside a header that it names and that are not called as it is, whether they exist or not.

    None where the header cannot be read or leads out of its folder: then it is the header that must change.
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
