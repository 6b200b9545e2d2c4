"""The header of EDF, EDF+ and BDF files, checked strictly before anything is believed.

Sources: Kemp et al. 1992 (EDF), Kemp & Olivan 2003 (EDF+), BioSemi's description of BDF. What a signal or
its timing depends on must be right or the file is rejected; what it does not depend on is flagged.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.electrodes import clean_label, duplicate_electrodes
from eegfm.signal.reader import BDF_MAGIC, describe_start, first_bytes, looks_like_edf

FIXED_BYTES = 256
CHANNEL_BYTES = 256
# Names and widths of the header's fields, in file order.
FIXED_FIELDS = {
    "version": 8,
    "patient": 80,
    "recording": 80,
    "start date": 8,
    "start time": 8,
    "header bytes": 8,
    "reserved": 44,
    "number of records": 8,
    "record duration": 8,
    "number of signals": 4,
}
CHANNEL_FIELDS = {
    "label": 16,
    "transducer": 80,
    "unit": 8,
    "physical minimum": 8,
    "physical maximum": 8,
    "digital minimum": 8,
    "digital maximum": 8,
    "prefilter": 80,
    "samples per record": 8,
    "reserved": 32,
}
# Exact spelling: 'UV' or 'uv' may be a slip for uV or for something else, a factor of a million apart.
UNITS_UV = {"V": 1e6, "mV": 1e3, "uV": 1.0, "\u00b5V": 1.0, "\u03bcV": 1.0, "nV": 1e-3}
ANNOTATION_LABELS = frozenset({"EDF Annotations", "BDF Annotations"})

_INTEGER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?")
_DATE = re.compile(r"(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.\d\d")
_TIME = re.compile(r"(?:[01]\d|2[0-3])\.[0-5]\d\.[0-5]\d")

FETCH_AGAIN = "fetch the file again or repair its header"


class Calibration(NamedTuple):
    """Microvolts = digital value * gain_uv + offset_uv."""

    gain_uv: float
    offset_uv: float


@dataclass(frozen=True)
class EdfChannel:
    """One signal of a file.

    Args:
        label: As written.
        unit: As written.
        rate_hz: Native rate.
        n_per_record: Samples in each record.
        offset: Position of its first sample in a record, in samples.
        calibration: How digital values become microvolts, or why that cannot be said.
    """

    label: str
    unit: str
    rate_hz: float
    n_per_record: int
    offset: int
    calibration: Calibration | RecordingError

    @property
    def is_annotation(self) -> bool:
        """Whether it holds annotation lists in place of samples."""
        return self.label in ANNOTATION_LABELS


@dataclass(frozen=True)
class EdfHeader:
    """A checked header.

    Args:
        sample_bytes: 2 for EDF, 3 for BDF.
        n_records: Number of records, all of them present.
        record_s: Duration of a record.
        is_discontinuous: Whether the file announces gaps (EDF+D, BDF+D).
        channels: All signals, annotation channels included.
        patient: Patient field.
        recording: Recording field.
        flags: Harmless faults.
    """

    sample_bytes: int
    n_records: int
    record_s: float
    is_discontinuous: bool
    channels: tuple[EdfChannel, ...]
    patient: str
    recording: str
    flags: tuple[str, ...]

    @property
    def header_bytes(self) -> int:
        """Where the first record starts."""
        return FIXED_BYTES + CHANNEL_BYTES * len(self.channels)

    @property
    def record_bytes(self) -> int:
        """Size of one record."""
        return self.sample_bytes * sum(channel.n_per_record for channel in self.channels)


class _Fields:
    """Header fields as text, with numbers parsed strictly; collects flags."""

    def __init__(self, file_name: str) -> None:
        self.file_name = file_name
        self.flags: set[str] = set()

    def fail(self, code: str, found: str, remedy: str = FETCH_AGAIN) -> RecordingError:
        return RecordingError(code, f"{self.file_name}: {found}", remedy)

    def integer(self, text: str, field: str, code: str = "not_a_number") -> int:
        if not _INTEGER.fullmatch(text):
            raise self.fail(code, f"{field} is {text!r}, not a whole number")
        return int(text)

    def decimal(self, text: str, field: str) -> float:
        if not _DECIMAL.fullmatch(text):
            raise self.fail("not_a_number", f"{field} is {text!r}, not a number")
        if "," in text:
            self.flags.add("decimal_comma")
        value = float(text.replace(",", "."))
        if abs(value) > 1e12:
            raise self.fail("not_a_number", f"{field} is {text!r}, beyond any physical value")
        return value


def read_header(path: Path, params: ReadParams) -> EdfHeader:
    """Read and check the header of an EDF, EDF+ or BDF file.

    Raises:
        RecordingError: With one of the codes ``unreadable not_edf truncated_header not_a_number
            header_size no_signals unknown_record_count no_records record_duration samples_per_record
            duplicate_label physical_range digital_range unknown_unit truncated``.
    """
    fields = _Fields(path.name)
    start = first_bytes(path, FIXED_BYTES)
    if not looks_like_edf(start):
        raise fields.fail("not_edf", describe_start(start), "fetch the file again, or leave it out")
    if len(start) < FIXED_BYTES:
        raise fields.fail("truncated_header", f"{len(start)} bytes, the header alone takes {FIXED_BYTES}")
    fixed = _split(start, FIXED_FIELDS)
    sample_bytes = 3 if start[:8] == BDF_MAGIC else 2
    n_signals = _signal_count(fields, fixed)
    columns = _channel_columns(fields, path, n_signals)
    record_s = fields.decimal(fixed["record duration"], "record duration")
    channels = _channels(fields, columns, record_s, sample_bytes)
    _check_metadata(fields, path, start, fixed, sample_bytes)
    header = EdfHeader(
        sample_bytes=sample_bytes,
        n_records=_record_count(fields, fixed),
        record_s=record_s,
        is_discontinuous=fixed["reserved"].upper().startswith(("EDF+D", "BDF+D")),
        channels=channels,
        patient=fixed["patient"],
        recording=fixed["recording"],
        flags=(),
    )
    _check_size(fields, header, path.stat().st_size)
    return EdfHeader(**{**vars(header), "flags": tuple(sorted(fields.flags))})


def _text(raw: bytes) -> str:
    """Header text: ASCII by the standard, UTF-8 or Latin-1 in practice; blanks and NULs are padding."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.strip(" \0\t")


def _split(raw: bytes, widths: dict[str, int]) -> dict[str, str]:
    out, at = {}, 0
    for name, width in widths.items():
        out[name] = _text(raw[at : at + width])
        at += width
    return out


def _signal_count(fields: _Fields, fixed: dict[str, str]) -> int:
    n_signals = fields.integer(fixed["number of signals"], "number of signals")
    if n_signals < 1:
        raise fields.fail("no_signals", f"number of signals is {n_signals}", "leave the file out")
    declared = fields.integer(fixed["header bytes"], "header bytes")
    expected = FIXED_BYTES + CHANNEL_BYTES * n_signals
    if declared != expected:
        raise fields.fail("header_size", f"header bytes is {declared}, {n_signals} signals take {expected}")
    return n_signals


def _channel_columns(fields: _Fields, path: Path, n_signals: int) -> dict[str, list[str]]:
    n_bytes = FIXED_BYTES + CHANNEL_BYTES * n_signals
    raw = first_bytes(path, n_bytes)
    if len(raw) < n_bytes:
        raise fields.fail("truncated_header", f"{len(raw)} bytes, the header of {n_signals} signals takes {n_bytes}")
    columns, at = {}, FIXED_BYTES
    for name, width in CHANNEL_FIELDS.items():
        columns[name] = [_text(raw[at + i * width : at + (i + 1) * width]) for i in range(n_signals)]
        at += width * n_signals
    return columns


def _channels(
    fields: _Fields, columns: dict[str, list[str]], record_s: float, sample_bytes: int
) -> tuple[EdfChannel, ...]:
    labels = columns["label"]
    if all(label in ANNOTATION_LABELS for label in labels):
        raise fields.fail("no_signals", "annotations only, no signal", "leave the file out")
    if record_s <= 0:
        raise fields.fail("record_duration", f"record duration is {record_s:g} s, more than 0 is allowed")
    twice = duplicate_electrodes(labels)
    if twice:
        raise fields.fail(
            "duplicate_label",
            f"more than one channel is named {', '.join(twice)}",
            "rename or remove the extra channel; which one is meant cannot be known",
        )
    channels, offset = [], 0
    for i, label in enumerate(labels):
        text = {name: column[i] for name, column in columns.items()}
        n_per_record = fields.integer(text["samples per record"], f"samples per record of {label!r}")
        if n_per_record < 1:
            raise fields.fail("samples_per_record", f"samples per record of {label!r} is {n_per_record}")
        calibration = _calibrate_or_note(fields, text, sample_bytes)
        rate_hz = n_per_record / record_s
        channels.append(EdfChannel(label, text["unit"], rate_hz, n_per_record, offset, calibration))
        offset += n_per_record
    return tuple(channels)


def _calibrate_or_note(fields: _Fields, text: dict[str, str], sample_bytes: int) -> Calibration | RecordingError:
    """Reject a fault of an electrode at once; of another channel only when somebody asks for it."""
    label = text["label"]
    try:
        return _calibration(fields, text, sample_bytes)
    except RecordingError as error:
        if clean_label(label) is not None:
            raise
        return error


def _calibration(fields: _Fields, text: dict[str, str], sample_bytes: int) -> Calibration:
    label = text["label"]
    pmin = fields.decimal(text["physical minimum"], f"physical minimum of {label!r}")
    pmax = fields.decimal(text["physical maximum"], f"physical maximum of {label!r}")
    dmin = fields.integer(text["digital minimum"], f"digital minimum of {label!r}")
    dmax = fields.integer(text["digital maximum"], f"digital maximum of {label!r}")
    limit = 1 << (8 * sample_bytes - 1)
    if not -limit <= dmin < dmax < limit:
        raise fields.fail(
            "digital_range", f"digital range of {label!r} is {dmin} to {dmax}, within ±{limit} and rising is allowed"
        )
    if pmin == pmax:
        raise fields.fail("physical_range", f"physical minimum and maximum of {label!r} are both {pmin:g}")
    if text["unit"] not in UNITS_UV:
        raise fields.fail(
            "unknown_unit",
            f"unit of {label!r} is {text['unit']!r}; known: V, mV, uV, µV, nV",
            "correct the unit in the file's header if you know what was meant",
        )
    if pmin > pmax and clean_label(label) is not None:
        fields.flags.add("inverted_physical_range")
    factor = UNITS_UV[text["unit"]]
    gain = (pmax - pmin) / (dmax - dmin)
    return Calibration(gain * factor, (pmin - dmin * gain) * factor)


def _record_count(fields: _Fields, fixed: dict[str, str]) -> int:
    n_records = fields.integer(fixed["number of records"], "number of records")
    if n_records < 0:
        raise fields.fail("unknown_record_count", f"number of records is {n_records}: the recording was never closed")
    if n_records == 0:
        raise fields.fail("no_records", "number of records is 0", "leave the file out")
    return n_records


def _check_size(fields: _Fields, header: EdfHeader, n_bytes: int) -> None:
    expected = header.header_bytes + header.n_records * header.record_bytes
    if n_bytes < expected:
        whole = max(n_bytes - header.header_bytes, 0) // header.record_bytes
        raise fields.fail(
            "truncated", f"{header.n_records} records are declared, {whole} are there", "fetch the file again"
        )
    if n_bytes - expected >= header.record_bytes:
        fields.flags.add("more_data_than_declared")
    elif n_bytes > expected:
        fields.flags.add("extra_bytes_at_end")


def _check_metadata(fields: _Fields, path: Path, start: bytes, fixed: dict[str, str], sample_bytes: int) -> None:
    """Flag what is wrong but leaves signal and timing alone."""
    if not _DATE.fullmatch(fixed["start date"]):
        fields.flags.add("bad_start_date")
    if not _TIME.fullmatch(fixed["start time"]):
        fields.flags.add("bad_start_time")
    # The first byte of BDF is 255 by definition.
    if not start[1:].isascii():
        fields.flags.add("non_ascii_header")
    if path.suffix.lower() == (".edf" if sample_bytes == 3 else ".bdf"):
        fields.flags.add("extension_mismatch")
