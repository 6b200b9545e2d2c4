"""Read BrainVision recordings (``.vhdr``, ``.vmrk``, ``.eeg``). Checks are done here, MNE decodes the samples."""

import configparser
import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.brainvision.header import FETCH_AGAIN, NEW_SEGMENT, BrainVisionHeader, Marker, read_vhdr, read_vmrk
from eegfm.signal.config import ReadParams
from eegfm.signal.header import Annotation, RecordingHeader, Segment, Triggers
from eegfm.signal.triggers import names_triggers
from eegfm.signal.units import UNITS_UV, given_unit, unit_uv

# MNE converts these units to volts. It leaves values in other units unchanged, and calls them volts too.
VOLTAGES = frozenset({"V", "mV", "µV", "uV", "nV"})
# MNE raises these for files that it cannot read. It has no error class of its own.
READ_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    configparser.Error,
)


class BrainVisionReader:
    """A BrainVision recording; ``New Segment`` markers split it into segments.

    Times count samples of the file: seconds between two segments are not counted, as in the markers' positions.

    Raises:
        RecordingError: A fault of the header (see ``read_vhdr``), or one that MNE finds (``brainvision_unreadable``).
    """

    def __init__(self, path: Path, params: ReadParams) -> None:
        header = read_vhdr(path)
        self._path, self._header = path, header
        self._scales_uv = [_scale_uv(unit, params) for unit in header.units]
        self._raw = _open_raw(path, header)
        markers, n_damaged = read_vmrk(header.marker_path) if header.marker_path else ([], 0)
        found = {
            "damaged_markers": n_damaged,
            "unit_taken_from_parameters": any(given_unit(unit, params.units) for unit in header.units),
        }
        self.header = RecordingHeader(
            labels=header.labels,
            units=header.units,
            rate_hz=header.rate_hz,
            channel_rates_hz=(header.rate_hz,) * len(header.labels),
            n_samples=header.n_samples,
            segments=_segments(markers, header),
            annotations=_annotations(markers, header.rate_hz),
            flags=tuple(sorted({*header.flags, *(name for name, is_so in found.items() if is_so)})),
            triggers=Triggers(unread=tuple(label for label in header.labels if names_triggers(label))),
        )

    def read_uv(self, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float32]:
        """Read samples [start, stop): (len(channels), stop - start) microvolts.

        Raises:
            RecordingError: A channel has an unknown unit (``unknown_unit``), or the data file has changed.
        """
        assert 0 <= start <= stop <= self.header.n_samples, "samples lie inside the recording"
        scales_uv = np.array([self._scale_of(index) for index in channels])
        if start == stop or not len(channels):
            return np.empty((len(channels), stop - start), dtype=np.float32)
        try:
            values = self._raw.get_data(picks=list(channels), start=start, stop=stop, verbose="error")
        except READ_ERRORS as error:
            raise _unreadable(self._path, error) from error
        values *= scales_uv[:, None]
        return np.ascontiguousarray(values, dtype=np.float32)

    def _scale_of(self, index: int) -> float:
        scale_uv = self._scales_uv[index]
        if scale_uv is None:
            raise RecordingError(
                "unknown_unit",
                f"{self._path.name}: {self._header.labels[index]!r} has the unit {self._header.units[index]!r}",
                f"known are {', '.join(sorted(VOLTAGES))}; say which is meant in ingest.reading.units, or leave it out",
            )
        return scale_uv


def _scale_uv(unit: str, params: ReadParams) -> float | None:
    """Microvolts per unit of the values that MNE returns; None for a unit that is no voltage."""
    meant_uv = unit_uv(unit, params.units)
    if meant_uv is None or unit not in VOLTAGES:
        return meant_uv
    return 1e6 if given_unit(unit, params.units) is None else 1e6 * meant_uv / UNITS_UV[unit]


def _open_raw(path: Path, header: BrainVisionHeader) -> Any:
    """MNE's lazy raw object on the data file that was checked, and on no other file."""
    import mne

    overrides = {"data_fname": header.data_path.name, "marker_fname": False}
    with warnings.catch_warnings():
        # Filter settings and channel kinds, which are not read here.
        warnings.simplefilter("ignore")
        try:
            raw = mne.io.read_raw_brainvision(path, overrides=overrides, preload=False, verbose="error")
        except READ_ERRORS as error:
            raise _unreadable(path, error) from error
    found, stated = (len(raw.ch_names), int(raw.n_times)), (len(header.labels), header.n_samples)
    if found != stated or not np.isclose(raw.info["sfreq"], header.rate_hz, rtol=1e-9):
        raise RecordingError(
            "brainvision_header",
            f"{path.name}: {stated} channels and samples, MNE reads {found} at {raw.info['sfreq']:g} Hz",
            FETCH_AGAIN,
        )
    return raw


def _unreadable(path: Path, error: BaseException) -> RecordingError:
    text = " ".join(str(error).split())[:160] or type(error).__name__
    return RecordingError("brainvision_unreadable", f"{path.name}: MNE cannot read it ({text})", FETCH_AGAIN)


def _annotations(markers: Sequence[Marker], rate_hz: float) -> tuple[Annotation, ...]:
    """``Kind/description`` as MNE writes them. The marker at the start of every file has no meaning."""
    return tuple(
        sorted(
            Annotation(marker.position / rate_hz, marker.n_samples / rate_hz, f"{marker.kind}/{marker.text}")
            for marker in markers
            if marker.kind != NEW_SEGMENT or marker.position > 0
        )
    )


def _segments(markers: Sequence[Marker], header: BrainVisionHeader) -> tuple[Segment, ...]:
    cuts = {marker.position for marker in markers if marker.kind == NEW_SEGMENT}
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < header.n_samples), header.n_samples]
    return tuple(Segment(start, stop, start / header.rate_hz) for start, stop in itertools.pairwise(edges))
