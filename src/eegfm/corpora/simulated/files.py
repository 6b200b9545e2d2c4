"""Bytes of EDF, BDF and EEGLAB files. Equal signals give equal bytes: they hold no time of writing and no path."""

import datetime
import io
from collections.abc import Sequence
from typing import TypeVar

import edfio
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from eegfm.corpora.simulated.tasks import Event

ANONYMOUS_DATE = datetime.date(1985, 1, 1)
"""The header date of the clinical corpus."""

MAT_HEADER = b"MATLAB 5.0 MAT-file, Platform: SIMULATED, Created by: eegfm".ljust(116)

EDF_RANGE_UV, EDF_RANGE = 3276.7, 32767
BDF_RANGE_UV, BDF_RANGE = 8388.6, 8388600
"""Physical ranges with steps of 0.1 and 0.001 microvolts. Their numbers fit the eight characters of a header field."""

Signal = NDArray[np.float32]
_Kind = TypeVar("_Kind", edfio.EdfSignal, edfio.BdfSignal)


def edf_bytes(signal_uv: Signal, labels: Sequence[str], rate_hz: int, patient: edfio.Patient, session: str) -> bytes:
    """Write a 16-bit EDF file with records of 1 s. Values beyond ±3276.7 µV are clipped.

    Args:
        signal_uv: (C, T) microvolts, T whole seconds.
        labels: Channel labels.
        rate_hz: Sampling rate.
        patient: The patient field.
        session: Administration code of the recording field.
    """
    signals = _signals(edfio.EdfSignal, signal_uv, labels, rate_hz, EDF_RANGE_UV, EDF_RANGE)
    file = edfio.Edf(signals, patient=patient, recording=_recording(session), data_record_duration=1)
    buffer = io.BytesIO()
    file.write(buffer)
    return buffer.getvalue()


def bdf_bytes(signal_uv: Signal, labels: Sequence[str], rate_hz: int, session: str) -> bytes:
    """Write a 24-bit BDF file with records of 1 s; arguments as for ``edf_bytes``."""
    signals = _signals(edfio.BdfSignal, signal_uv, labels, rate_hz, BDF_RANGE_UV, BDF_RANGE)
    file = edfio.Bdf(signals, recording=_recording(session), data_record_duration=1)
    buffer = io.BytesIO()
    file.write(buffer)
    return buffer.getvalue()


def _signals(
    kind: type[_Kind], signal_uv: Signal, labels: Sequence[str], rate_hz: int, range_uv: float, digital_range: int
) -> list[_Kind]:
    """Channels of a file, clipped to the range of its format."""
    return [
        kind(
            np.clip(row, -range_uv, range_uv).astype(np.float64),
            rate_hz,
            label=label,
            physical_dimension="uV",
            physical_range=(-range_uv, range_uv),
            digital_range=(-digital_range, digital_range),
        )
        for row, label in zip(signal_uv, labels, strict=True)
    ]


def set_bytes(signal_uv: Signal, labels: Sequence[str], rate_hz: int, name: str, events: Sequence[Event]) -> bytes:
    """Write an EEGLAB ``.set`` file that holds its data (no ``.fdt``), with the fields of EEGLAB's own files.

    Args:
        signal_uv: (C, T) microvolts.
        labels: Channel labels.
        rate_hz: Sampling rate.
        name: Name of the data set.
        events: Events for ``EEG.event``, with latencies in samples that count from 1.
    """
    n_channels, n_samples = signal_uv.shape
    empty = np.zeros((0, 0))
    eeg = {
        "setname": f"SIMULATED {name}",
        "filename": f"{name}.set",
        "filepath": "",
        "comments": "Simulated EEG",
        "nbchan": float(n_channels),
        "trials": 1.0,
        "pnts": float(n_samples),
        "srate": float(rate_hz),
        "xmin": 0.0,
        "xmax": (n_samples - 1) / rate_hz,
        "times": empty,
        "data": np.asfortranarray(signal_uv, dtype=np.float32),
        "icaact": empty,
        "icawinv": empty,
        "icasphere": empty,
        "icaweights": empty,
        "icachansind": empty,
        "chanlocs": _structs(["labels", "type"], [(label, "EEG") for label in labels]),
        "urchanlocs": empty,
        "chaninfo": {"plotrad": empty, "shrink": empty, "nosedir": "+X"},
        "ref": "Cz",
        "event": _structs(
            ["type", "latency", "duration", "event_code"],
            [(e.value, e.onset_s * rate_hz + 1, 0.0, e.code) for e in events],
        ),
        "urevent": empty,
        "epoch": empty,
        "reject": empty,
        "stats": empty,
        "history": "",
        "saved": "yes",
        "etc": empty,
    }
    buffer = io.BytesIO()
    savemat(buffer, {"EEG": eeg}, oned_as="row")
    content = buffer.getvalue()
    assert content.startswith(b"MATLAB 5.0"), "scipy writes the text header of MAT-file version 5"
    # scipy puts the present time into the text header.
    return MAT_HEADER + content[len(MAT_HEADER) :]


def _recording(session: str) -> edfio.Recording:
    return edfio.Recording(startdate=ANONYMOUS_DATE, hospital_administration_code=session, equipment_code="SIMULATED")


def _structs(fields: Sequence[str], rows: Sequence[tuple[object, ...]]) -> NDArray[np.void]:
    """Build a 1 x n MATLAB struct array."""
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in fields])
    for i, row in enumerate(rows):
        array[0, i] = row
    return array
