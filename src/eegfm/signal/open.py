"""Open a recording with the reader that fits its first bytes. Interface of all readers."""

from pathlib import Path

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.header import SignalReader
from eegfm.signal.sniff import BRAINVISION_HEADER, describe_start, first_bytes, is_matlab, looks_like_edf


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
    start = first_bytes(path, 256)
    suffix = path.suffix.lower()
    if is_matlab(start):
        return EeglabReader(path, params)
    if suffix == ".vhdr" and BRAINVISION_HEADER.match(start):
        return BrainVisionReader(path, params)
    if suffix in {".edf", ".bdf", ".rec"} or looks_like_edf(start):
        return EdfReader(path, params)
    raise RecordingError(
        "unknown_format",
        f"{path.name}: {describe_start(start)}",
        "readable are EDF, EDF+, BDF, EEGLAB .set and BrainVision .vhdr files",
    )
