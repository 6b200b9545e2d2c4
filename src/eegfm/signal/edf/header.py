"""Parse the headers of EDF, EDF+ and BDF files with strict checks.

A file is rejected for a fault in a field that decides its signal or timing. Other faults are flagged, as are those of
channels that are no electrodes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.edf.channels import EdfChannel, parse_channels
from eegfm.signal.edf.fields import CHANNEL_BYTES, FIXED_BYTES, Fields, channel_columns, fixed_columns
from eegfm.signal.montages.labels import is_annotations
from eegfm.signal.sniff import BDF_MAGIC, describe_start, first_bytes, looks_like_edf

UNKNOWN_COUNT = -1
"""Number of records that is stated for a file that is still being written, or was never closed."""

_DATE = re.compile(r"(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.\d\d", re.ASCII)
_TIME = re.compile(r"(?:[01]\d|2[0-3])\.[0-5]\d\.[0-5]\d", re.ASCII)
_PLUS = re.compile(r"[EB]DF\+([CD])", re.IGNORECASE)


@dataclass(frozen=True)
class EdfHeader:
    """A checked header.

    Args:
        sample_bytes: 2 for EDF, 3 for BDF.
        n_records: Number of records that can be read.
        record_s: Duration of a record.
        stated_record_s: The same without rounding: the decimal that the file states.
        kind: ``"C"`` or ``"D"`` for EDF+ and BDF+ without and with gaps, empty for plain EDF and BDF.
        channels: All signals, annotation channels included.
        n_declared: Number of records that the file states, ``UNKNOWN_COUNT`` if it states none.
        n_extra_bytes: Number of bytes after the last readable record.
        patient: Patient field.
        recording: Recording field.
        flags: Harmless faults.
    """

    sample_bytes: int
    n_records: int
    record_s: float
    stated_record_s: Fraction
    kind: str
    channels: tuple[EdfChannel, ...]
    n_declared: int
    n_extra_bytes: int = 0
    patient: str = ""
    recording: str = ""
    flags: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def header_bytes(self) -> int:
        """Byte at which the first record starts."""
        return FIXED_BYTES + CHANNEL_BYTES * len(self.channels)

    @cached_property
    def record_bytes(self) -> int:
        """Size of one record."""
        return self.sample_bytes * sum(channel.n_per_record for channel in self.channels)

    @property
    def n_lost(self) -> int:
        """Number of stated records that cannot be read, as far as this is known."""
        return max(self.n_declared - self.n_records, 0)

    @property
    def electrodes(self) -> tuple[EdfChannel, ...]:
        """Channels whose label names an electrode."""
        return tuple(channel for channel in self.channels if channel.is_electrode)

    @property
    def signals(self) -> tuple[EdfChannel, ...]:
        """Channels that hold samples."""
        return tuple(channel for channel in self.channels if channel.n_per_record and not channel.is_annotation)


def read_header(path: Path, params: ReadParams) -> EdfHeader:
    """Read and check the header of an EDF, EDF+ or BDF file.

    Raises:
        RecordingError: One of the codes ``unreadable not_edf truncated_header not_a_number
            header_size no_signals unknown_record_count no_records record_duration samples_per_record
            duplicate_label physical_range digital_range unknown_unit gain_disagrees implausible_offset
            mixed_decimals truncated``.
    """
    fields = Fields(path.name)
    start = first_bytes(path, FIXED_BYTES)
    if not looks_like_edf(start):
        raise fields.fail("not_edf", describe_start(start), "fetch the file again, or leave it out")
    if len(start) < FIXED_BYTES:
        raise fields.fail("truncated_header", f"{len(start)} bytes, the header alone takes {FIXED_BYTES}")
    fixed = fixed_columns(start)
    n_signals = _signal_count(fields, fixed)
    is_settled = fixed["header bytes"] == str(FIXED_BYTES + CHANNEL_BYTES * n_signals)
    try:
        header = _parse(fields, path, fixed, n_signals, params)
    except RecordingError as error:
        if is_settled:
            raise
        raise _header_size(fields, fixed, n_signals) from error
    if not is_settled:
        # The number of signals and the header's size state the same fact. The size of the file can decide between them.
        if header.n_extra_bytes or "truncated" in fields.flags:
            raise _header_size(fields, fixed, n_signals)
        fields.flags.add("wrong_header_bytes")
    return replace(header, flags=frozenset(fields.flags))


def _parse(fields: Fields, path: Path, fixed: Mapping[str, str], n_signals: int, params: ReadParams) -> EdfHeader:
    sample_bytes = 3 if first_bytes(path, 8) == BDF_MAGIC else 2
    columns = channel_columns(fields, path, n_signals)
    record_s = _record_duration(fields, fixed, columns["label"])
    kind = _PLUS.match(fixed["reserved"])
    _check_metadata(fields, path, fixed, sample_bytes)
    n_declared = _record_count(fields, fixed)
    header = EdfHeader(
        sample_bytes=sample_bytes,
        n_records=max(n_declared, 0),
        n_declared=n_declared,
        record_s=record_s,
        stated_record_s=Fraction(fixed["record duration"]),
        kind=kind[1].upper() if kind else "",
        channels=parse_channels(fields, columns, record_s, sample_bytes, params),
        patient=fixed["patient"],
        recording=fixed["recording"],
    )
    return _fit_to_size(fields, header, path.stat().st_size, params)


def _header_size(fields: Fields, fixed: Mapping[str, str], n_signals: int) -> RecordingError:
    expected = FIXED_BYTES + CHANNEL_BYTES * n_signals
    return fields.fail("header_size", f"header bytes is {fixed['header bytes']!r}, {n_signals} signals take {expected}")


def _signal_count(fields: Fields, fixed: Mapping[str, str]) -> int:
    n_signals = fields.integer(fixed["number of signals"], "number of signals")
    if n_signals < 1:
        raise fields.fail("no_signals", f"number of signals is {n_signals}", "leave the file out")
    return n_signals


def _record_duration(fields: Fields, fixed: Mapping[str, str], labels: list[str]) -> float:
    if all(is_annotations(label) for label in labels):
        raise fields.fail("no_signals", "annotations only, no signal", "leave the file out")
    text = fixed["record duration"]
    record_s = fields.decimal(text, "record duration")
    # The rate depends on this number alone, so it is not repaired.
    if record_s <= 0 or "," in text:
        raise fields.fail("record_duration", f"record duration is {text!r} s, a decimal above 0 is allowed")
    return record_s


def _record_count(fields: Fields, fixed: Mapping[str, str]) -> int:
    n_records = fields.integer(fixed["number of records"], "number of records")
    if n_records == 0:
        raise fields.fail("no_records", "number of records is 0", "leave the file out")
    return max(n_records, UNKNOWN_COUNT)


def _fit_to_size(fields: Fields, header: EdfHeader, n_bytes: int, params: ReadParams) -> EdfHeader:
    """Compare the number of records with the file's size, and cut or salvage the file if they differ.

    Raises:
        RecordingError: ``unknown_record_count`` or ``truncated`` without salvage, ``no_records`` with salvage.
    """
    n_there, n_rest = divmod(max(n_bytes - header.header_bytes, 0), header.record_bytes)
    declared = header.n_declared
    if 0 < declared <= n_there:
        n_extra = (n_there - declared) * header.record_bytes + n_rest
        if n_extra:
            fields.flags.add("extra_bytes_at_end" if declared == n_there else "more_data_than_declared")
        return replace(header, n_extra_bytes=n_extra)
    if not params.salvage_truncated:
        remedy = "fetch the file again, or set ingest.reading.salvage_truncated to take the records that are whole"
        if declared == UNKNOWN_COUNT:
            found = "number of records is negative: the recording was never closed"
            raise fields.fail("unknown_record_count", found, remedy)
        raise fields.fail("truncated", f"{declared} records are declared, {n_there} are there", remedy)
    if not n_there:
        raise fields.fail("no_records", "not one record is whole", "fetch the file again")
    fields.flags.add("truncated")
    return replace(header, n_records=n_there, n_extra_bytes=n_rest)


def stated_start(path: Path) -> datetime | None:
    """Start time that an EDF or BDF file states, in whole seconds; None if it states no valid time.

    Raises:
        RecordingError: The file cannot be opened.
    """
    start = first_bytes(path, FIXED_BYTES)
    if not looks_like_edf(start) or len(start) < FIXED_BYTES:
        return None
    fixed = fixed_columns(start)
    try:
        return datetime.strptime(f"{fixed['start date']} {fixed['start time']}", "%d.%m.%y %H.%M.%S")
    except ValueError:  # as in many anonymised files
        return None


def _check_metadata(fields: Fields, path: Path, fixed: Mapping[str, str], sample_bytes: int) -> None:
    """Flag faults that leave signal and timing intact."""
    if not _DATE.fullmatch(fixed["start date"]):
        fields.flags.add("bad_start_date")
    if not _TIME.fullmatch(fixed["start time"]):
        fields.flags.add("bad_start_time")
    if path.suffix.lower() == (".edf" if sample_bytes == 3 else ".bdf"):
        fields.flags.add("extension_mismatch")
