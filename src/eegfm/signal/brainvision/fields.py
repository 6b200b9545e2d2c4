"""Text and whole numbers of BrainVision files."""

import re
from pathlib import Path

from eegfm.errors import RecordingError
from eegfm.signal.sniff import refuse_irregular

MAX_TEXT_BYTES = 128 << 20
FETCH_AGAIN = "fetch .vhdr, .vmrk and .eeg again, together, or leave the recording out"


def text_of(path: Path) -> str:
    """A text file in UTF-8, or else in the Windows encoding of older recorders.

    Raises:
        RecordingError: The file cannot be read (``unreadable``), is no regular file, or is too large.
    """
    refuse_irregular(path)
    try:
        n_bytes = path.stat().st_size
        if n_bytes > MAX_TEXT_BYTES:
            reason = f"{path.name}: {n_bytes} bytes of text, at most {MAX_TEXT_BYTES} are read"
            raise RecordingError("brainvision_header", reason, FETCH_AGAIN)
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RecordingError("unreadable", f"{path}: {reason}", "check that the file is there and readable") from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def whole(text: str) -> int | None:
    """A whole number of at most fifteen digits, which is exact as a float; None for anything else."""
    return int(text) if re.fullmatch(r"\d{1,15}", text) else None
