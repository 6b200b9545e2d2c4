"""EEGLAB ``.set`` files, with embedded data or an ``.fdt`` beside them, read through MNE."""

import itertools
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.reader import Annotation, RecordingHeader, Segment

FDT_SAMPLE_BYTES = 4
# What MNE and scipy raise on damaged files; neither has an error class of its own for them.
READ_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class EeglabReader:
    """A continuous EEGLAB recording; ``boundary`` events split it into segments.

    Raises:
        RecordingError: Not a readable ``.set``, epochs, or an ``.fdt`` that is missing, of another size, or
            outside the folder of the ``.set``.
    """

    def __init__(self, path: Path, params: ReadParams) -> None:
        self._path = path
        self._raw, warned = _open_raw(path)
        _check_data_file(path, self._raw)
        self.header = _header(self._raw, ("reader_warned",) if warned else ())

    def read_uv(self, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float32]:
        """Read samples [start, stop): (len(channels), stop - start) microvolts."""
        assert 0 <= start <= stop <= self.header.n_samples, "samples lie inside the recording"
        if start == stop:
            return np.empty((len(channels), 0), dtype=np.float32)
        try:
            volts = self._raw.get_data(picks=list(channels), start=start, stop=stop, verbose="error")
        except READ_ERRORS as error:
            raise _unreadable(self._path, error) from error
        microvolts: NDArray[np.float64] = volts * 1e6
        return microvolts.astype(np.float32)


def _open_raw(path: Path) -> tuple[Any, bool]:
    """MNE's lazy raw object, and whether MNE warned about the file."""
    import mne
    from scipy.io.matlab import MatReadError

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            raw = mne.io.read_raw_eeglab(path, preload=False, verbose="error")
        except (*READ_ERRORS, MatReadError) as error:
            raise _unreadable(path, error) from error
    return raw, any(issubclass(w.category, RuntimeWarning) for w in caught)


def _unreadable(path: Path, error: BaseException) -> RecordingError:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return RecordingError(
        "eeglab_unreadable",
        f"{path.name}: {text}",
        "save it again in EEGLAB as one continuous file of MATLAB version 7 or older, or leave it out",
    )


def _check_data_file(path: Path, raw: Any) -> None:
    """The samples lie in the ``.set`` itself or in an ``.fdt`` of the right size in the same folder."""
    data_path = Path(raw.filenames[0])
    if data_path.resolve() == path.resolve():
        _check_embedded(path, raw)
        return
    # The path stands in the .set and may point anywhere: nothing outside the folder is ever opened.
    if data_path.resolve().parent != path.parent.resolve():
        raise RecordingError(
            "data_outside_folder",
            f"{path.name}: its samples are said to lie in {data_path}",
            "put the .fdt file (not a link) beside the .set",
        )
    wanted = raw.info["nchan"] * raw.n_times * FDT_SAMPLE_BYTES
    found = data_path.stat().st_size
    if found != wanted:
        raise RecordingError(
            "fdt_size",
            f"{data_path.name}: {found} bytes, {raw.info['nchan']} channels of {raw.n_times} samples take {wanted}",
            "fetch .set and .fdt again, together",
        )


def _check_embedded(path: Path, raw: Any) -> None:
    """Shape of an embedded ``data`` variable, read from the file's table of variables only."""
    from scipy.io import whosmat

    expected = (raw.info["nchan"], raw.n_times)
    for name, shape, _ in whosmat(str(path)):
        if name == "data" and tuple(shape) != expected:
            raise RecordingError(
                "data_shape",
                f"{path.name}: data of shape {tuple(shape)}, channel list and pnts say {expected}",
                "save the file again in EEGLAB, or leave it out",
            )


def _header(raw: Any, flags: tuple[str, ...]) -> RecordingHeader:
    rate_hz = float(raw.info["sfreq"])
    notes = raw.annotations
    annotations = tuple(
        sorted(
            Annotation(float(onset), float(duration), str(text))
            for onset, duration, text in zip(notes.onset, notes.duration, notes.description, strict=True)
        )
    )
    return RecordingHeader(
        labels=tuple(raw.ch_names),
        units=("uV",) * len(raw.ch_names),
        rate_hz=rate_hz,
        channel_rates_hz=(rate_hz,) * len(raw.ch_names),
        n_samples=int(raw.n_times),
        segments=_segments(annotations, rate_hz, int(raw.n_times)),
        annotations=annotations,
        flags=flags,
    )


def _segments(annotations: Sequence[Annotation], rate_hz: float, n_samples: int) -> tuple[Segment, ...]:
    """Split at ``boundary`` events, which lie half-way between two samples.

    EEGLAB counts time without what was cut out, and so do its event latencies: a segment starts in
    recording time where it starts in the file.
    """
    cuts = {
        int(np.ceil(note.onset_s * rate_hz - 1e-6)) for note in annotations if note.text.lower().endswith("boundary")
    }
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < n_samples), n_samples]
    return tuple(Segment(start, stop, start / rate_hz) for start, stop in itertools.pairwise(edges))
