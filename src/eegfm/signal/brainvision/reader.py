"""Read BrainVision recordings (``.vhdr``, ``.vmrk``, ``.eeg``)."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError
from eegfm.signal.brainvision.fields import FETCH_AGAIN
from eegfm.signal.brainvision.header import BrainVisionHeader, read_vhdr
from eegfm.signal.brainvision.markers import NEW_SEGMENT, Marker, Markers, read_vmrk
from eegfm.signal.brainvision.samples import BrainVisionSamples
from eegfm.signal.config import ReadParams
from eegfm.signal.header import Annotation, RecordingHeader, Segment, Triggers
from eegfm.signal.triggers import names_triggers
from eegfm.signal.units import UNITS_UV, given_unit, unit_uv

# Values in these units become volts first, and values in other units stay as they are: exactly MNE's arithmetic.
VOLTAGES = {"V": 1.0, "mV": 1e-3, "µV": 1e-6, "uV": 1e-6, "nV": 1e-9}


class BrainVisionReader:
    """A BrainVision recording; ``New Segment`` markers split it into segments.

    Times count samples of the file: seconds between two segments are not counted, as in the markers' positions.

    Raises:
        RecordingError: A fault of the header (see ``read_vhdr``).
    """

    def __init__(self, path: Path, params: ReadParams) -> None:
        header = read_vhdr(path)
        self._path, self._header = path, header
        self._scales_uv = [_scale_uv(unit, params) for unit in header.units]
        self._samples = BrainVisionSamples(header)
        found = read_vmrk(header.marker_path) if header.marker_path else Markers()
        is_given = any(given_unit(unit, params.units) for unit in header.units)
        rate_hz = float(header.rate_hz)
        self.header = RecordingHeader(
            labels=header.labels,
            units=header.units,
            rate_hz=rate_hz,
            channel_rates_hz=(rate_hz,) * len(header.labels),
            n_samples=header.n_samples,
            segments=_segments(found.markers, header),
            annotations=_annotations(found.markers, rate_hz),
            flags=tuple(sorted({*header.flags, *found.flags, *(["unit_taken_from_parameters"] if is_given else [])})),
            triggers=Triggers(unread=tuple(label for label in header.labels if names_triggers(label))),
            stated_rate_hz=header.rate_hz,
        )

    def read_uv(self, start: int, stop: int, channels: Sequence[int]) -> NDArray[np.float32]:
        """Read samples [start, stop): (len(channels), stop - start) microvolts.

        Raises:
            RecordingError: A channel has an unknown unit (``unknown_unit``) or no resolution (``brainvision_header``),
                or the data file has changed.
        """
        assert 0 <= start <= stop <= self.header.n_samples, "samples lie inside the recording"
        scales_uv = np.array([self._scale_of(index) for index in channels])[:, None]
        steps = np.array([self._step_of(index) for index in channels])[:, None]
        out = np.empty((len(channels), stop - start), dtype=np.float32)
        if not len(channels):
            return out
        for place, values in self._samples.blocks(start, stop, channels):
            with np.errstate(over="ignore"):  # values beyond float32 become infinite and are flagged as non-finite
                out[:, place] = values * steps * scales_uv
        return out

    def _scale_of(self, index: int) -> float:
        scale_uv = self._scales_uv[index]
        if scale_uv is None:
            raise RecordingError(
                "unknown_unit",
                f"{self._path.name}: {self._header.labels[index]!r} has the unit {self._header.units[index]!r}",
                f"known are {', '.join(sorted(VOLTAGES))}; say which is meant in ingest.reading.units, or leave it out",
            )
        return scale_uv

    def _step_of(self, index: int) -> float:
        """Volts per stored step, or units where the unit is no voltage."""
        header = self._header
        if math.isnan(header.resolutions[index]):
            found = f"{self._path.name}: the resolution of {header.labels[index]!r} is no number above 0"
            raise RecordingError("brainvision_header", found, FETCH_AGAIN)
        return header.resolutions[index] * VOLTAGES.get(header.units[index], 1.0)


def _scale_uv(unit: str, params: ReadParams) -> float | None:
    """Microvolts per volt, or per unit where values do not become volts; None for a unit that is not known."""
    meant_uv = unit_uv(unit, params.units)
    if meant_uv is None or unit not in VOLTAGES:
        return meant_uv
    return 1e6 if given_unit(unit, params.units) is None else 1e6 * meant_uv / UNITS_UV[unit]


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
    return tuple(Segment(start, stop, start / float(header.rate_hz)) for start, stop in itertools.pairwise(edges))
