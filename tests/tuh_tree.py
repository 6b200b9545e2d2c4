"""Trees of TUH corpora for tests: recordings and annotation files as the README files describe them.

Written from the documents alone, so that it shares no table with the code under test.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edf_files import write_tones

NINETEEN = ["FP1", "FP2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"]
NINETEEN += ["F7", "F8", "T3", "T4", "T5", "T6", "FZ", "CZ", "PZ"]
ELECTRODES = [*NINETEEN, "A1", "A2"]
PATIENT = "aaaaaaav F 01-JAN-1985 aaaaaaav Age:31"

# As the README of TUEV and the montage files write it.
TCP_TABLE = """\
 0, FP1-F7    1, F7-T3    2, T3-T5    3, T5-O1
 4, FP2-F8    5, F8-T4    6, T4-T6    7, T6-O2
 8, A1-T3     9, T3-C3   10, C3-CZ   11, CZ-C4   12, C4-T4   13, T4-A2
14, FP1-F3   15, F3-C3   16, C3-P3   17, P3-O1
18, FP2-F4   19, F4-C4   20, C4-P4   21, P4-O2
"""
TCP_NAMES = [field for field in TCP_TABLE.replace(",", " ").split() if "-" in field]


def write_recording(
    root: Path,
    path: str,
    *,
    electrodes: Sequence[str] = tuple(ELECTRODES),
    suffix: str = "REF",
    duration_s: float = 20.0,
    rate_hz: float = 250.0,
    patient: str = PATIENT,
) -> Path:
    """Write one recording, each electrode with a tone of its own."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    tones_hz = 4.0 + 1.5 * np.arange(len(electrodes))
    labels = [f"EEG {name}-{suffix}" for name in electrodes]
    write_tones(file, labels, tones_hz, duration_s, rate_hz, noise_uv=0.2, patient=patient)
    return file


def csv_text(rows: Sequence[str], duration_s: float | None = 20.0, n_comments: int = 5) -> str:
    """A ``.csv`` or ``.csv_bi`` file, with as few or as many comment lines as a release may have."""
    comments = ["# version = csv_v1.0.0", "# bname = aaaaaaav_s001_t000"]
    comments += [] if duration_s is None else [f"# duration = {duration_s:.2f} secs"]
    comments += ["# montage_file = $NEDC_NFC/lib/nedc_eas_default_montage.txt", "#"]
    comments = [*comments, *["#"] * 9][:n_comments]
    return "\n".join([*comments, "channel,start_time,stop_time,label,confidence", *rows, ""])
