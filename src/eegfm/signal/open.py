"""The format of a recording by its first bytes, and the reader of that format."""

from pathlib import Path
from typing import Literal, get_args

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.header import SignalReader
from eegfm.signal.pointers import refuse_pointer
from eegfm.signal.sniff import BRAINVISION_HEADER, describe_start, first_bytes, is_matlab, looks_like_edf

Format = Literal["edf", "eeglab", "brainvision"]
"""Formats of recordings; the reader of each is ``eegfm.signal.<format>.reader``. BDF is a variant of ``edf``."""
FORMATS: tuple[Format, ...] = get_args(Format)


def open_reader(path: Path, params: ReadParams | None = None) -> SignalReader:
    """Open a recording: EDF, EDF+, BDF, EEGLAB ``.set`` or the header of a BrainVision recording.

    The first bytes decide the format, not the name. A file with a wrong extension is read by its contents.

    Args:
        path: The file.
        params: Units and accepted faults; the defaults if not given.

    Raises:
        RecordingError: The file cannot be opened, has no known format, or fails a check of its format.
    """
    from eegfm.signal.brainvision.reader import BrainVisionReader
    from eegfm.signal.edf.reader import EdfReader
    from eegfm.signal.eeglab.reader import EeglabReader

    path, params = Path(path), params or ReadParams()
    match format_of(path):
        case "eeglab":
            return EeglabReader(path, params)
        case "brainvision":
            return BrainVisionReader(path, params)
        case "edf":
            return EdfReader(path, params)


def format_of(path: Path) -> Format:
    """Tell the format of a recording; the first bytes decide, not the name.

    Raises:
        RecordingError: The file cannot be opened (``unreadable``), was not fetched (``not_fetched``), or is of no known
            format (``unknown_format``).
    """
    refuse_pointer(path)
    start = first_bytes(path, 256)
    suffix = path.suffix.lower()
    if is_matlab(start):
        return "eeglab"
    if suffix == ".vhdr" and BRAINVISION_HEADER.match(start):
        return "brainvision"
    if suffix in {".edf", ".bdf", ".rec"} or looks_like_edf(start):
        return "edf"
    raise RecordingError(
        "unknown_format",
        f"{path.name}: {describe_start(start)}",
        "readable are EDF, EDF+, BDF, EEGLAB .set and BrainVision .vhdr files",
    )
