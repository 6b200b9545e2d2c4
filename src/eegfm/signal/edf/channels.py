"""Channels of EDF and BDF files, as their headers describe them.

A fault of an electrode rejects the file. A fault of another channel is noted, because no such channel is stored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.edf.calibration import Calibration, calibration, check_decimals, check_electrodes
from eegfm.signal.edf.fields import Fields
from eegfm.signal.header import faulty_channel_flag
from eegfm.signal.montages.electrodes import duplicate_electrodes, electrode_names
from eegfm.signal.montages.labels import is_annotations
from eegfm.signal.triggers import names_triggers

_GEODESIC = re.compile(r"E\d+")


@dataclass(frozen=True)
class EdfChannel:
    """One signal of a file.

    Args:
        label: As written.
        unit: As written.
        rate_hz: Native rate.
        n_per_record: Samples in each record; 0 only for a channel that is no electrode.
        offset: Position of its first sample in a record, in samples.
        calibration: Calibration from digital values to microvolts, or the reason why it is unknown.
        is_electrode: Whether the label names an electrode.
    """

    label: str
    unit: str
    rate_hz: float
    n_per_record: int
    offset: int
    calibration: Calibration | RecordingError
    is_electrode: bool

    @property
    def is_annotation(self) -> bool:
        """True if this channel holds annotation lists and no samples."""
        return is_annotations(self.label)


def parse_channels(
    fields: Fields, columns: Mapping[str, list[str]], record_s: float, sample_bytes: int, params: ReadParams
) -> tuple[EdfChannel, ...]:
    """Check the fields of all channels. A fault of a channel that is no electrode is noted, and flagged.

    Args:
        fields: Parses numbers, collects flags.
        columns: Header fields, one list per field with one text per channel.
        record_s: Duration of a record.
        sample_bytes: 2 for EDF, 3 for BDF.
        params: Meanings of units, and options for names.

    Raises:
        RecordingError: An electrode has no samples (``samples_per_record``), no calibration, or is there twice
            (``duplicate_label``), the calibrations disagree (see ``check_electrodes``), or no channel has samples
            (``no_signals``).
    """
    labels = columns["label"]
    texts = [{name: column[i] for name, column in columns.items()} for i in range(len(labels))]
    counts = [fields.integer(t["samples per record"], f"samples per record of {t['label']!r}") for t in texts]
    are_electrodes = _are_electrodes(labels, params, counts)
    own = [label for label, is_one in zip(labels, are_electrodes, strict=True) if is_one]
    twice = duplicate_electrodes(own, params)
    if twice:
        raise fields.fail(
            "duplicate_label",
            f"more than one channel is named {', '.join(twice)}",
            "rename or remove the extra channel; which one is meant cannot be known",
        )
    check_decimals(fields, [text for text, is_one in zip(texts, are_electrodes, strict=True) if is_one])
    channels: list[EdfChannel] = []
    offset = 0
    for text, n_per_record, is_electrode in zip(texts, counts, are_electrodes, strict=True):
        # Without samples a channel takes no place in a record, so that the others lie where they would without it.
        if n_per_record < is_electrode:
            raise fields.fail("samples_per_record", f"samples per record of {text['label']!r} is {n_per_record}")
        found = _calibrate_or_note(fields, text, sample_bytes, params, is_electrode=is_electrode)
        rate_hz = n_per_record / record_s
        channel = EdfChannel(text["label"], text["unit"], rate_hz, n_per_record, offset, found, is_electrode)
        if not is_electrode and _is_faulty(channel):
            fields.flags.add(faulty_channel_flag(channel.label, len(channels)))
        channels.append(channel)
        offset += n_per_record
    if not any(channel.n_per_record for channel in channels if not channel.is_annotation):
        raise fields.fail("no_signals", "no channel has samples", "leave the file out")
    check_electrodes(
        fields,
        {c.label: c.calibration for c in channels if c.is_electrode and isinstance(c.calibration, Calibration)},
    )
    return tuple(channels)


def _are_electrodes(labels: Sequence[str], params: ReadParams, counts: Sequence[int]) -> list[bool]:
    """Labels that name an electrode. E1 and E2 beside 10-20 names are eyes, and not electrodes of a net."""
    names = [name or "" for name in electrode_names(labels, params, counts)]
    n_geodesic = sum(_GEODESIC.fullmatch(name) is not None for name in names)
    is_net = 2 * n_geodesic >= sum(name != "" for name in names)
    return [name != "" and (is_net or not _GEODESIC.fullmatch(name)) for name in names]


def _is_faulty(channel: EdfChannel) -> bool:
    """True if a channel that is no electrode is described wrongly. A unit that is no voltage is not wrong there."""
    has_fault = isinstance(channel.calibration, RecordingError) and channel.calibration.code != "unknown_unit"
    return not channel.n_per_record or (has_fault and not channel.is_annotation)


def _calibrate_or_note(
    fields: Fields, text: Mapping[str, str], sample_bytes: int, params: ReadParams, *, is_electrode: bool
) -> Calibration | RecordingError:
    """Reject a fault of an electrode at once. Note a fault of another channel until the channel is read."""
    if is_electrode:
        return calibration(fields, text, sample_bytes, params.units)
    # Trigger codes are plain numbers, whatever is written as their unit.
    text = {**text, "unit": "uV"} if names_triggers(text["label"]) else text
    try:
        return calibration(Fields(fields.file_name), text, sample_bytes, params.units)
    except RecordingError as error:
        return error
