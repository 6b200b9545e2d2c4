"""``channels.tsv`` of EEG-BIDS: types, units and status of channels, compared with the recording's header."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from eegfm.corpora.text_tables import read_table
from eegfm.errors import RecordingError
from eegfm.recording import Reference
from eegfm.signal.config import ReadParams
from eegfm.signal.expected import FETCH_BOTH, MAX_RATE_ERROR_RATIO
from eegfm.signal.header import RecordingHeader
from eegfm.signal.montages.electrodes import (
    AS_WRITTEN,
    ResolvedChannels,
    clean_label,
    possible_name,
    resolve_channels,
)
from eegfm.signal.montages.labels import rewritten
from eegfm.signal.montages.layouts import Layout
from eegfm.signal.text import stripped

# Unambiguous spellings of units. In channels.tsv they only describe the file and convert nothing.
_UNITS = {
    **dict.fromkeys(("uv", "\u00b5v", "\u03bcv", "microv", "microvolt", "microvolts"), "uV"),
    **dict.fromkeys(("v", "volt", "volts"), "V"),
    **dict.fromkeys(("mv", "millivolt", "millivolts"), "mV"),
    "nv": "nV",
}


class Channel(NamedTuple):
    """One row of ``channels.tsv``. None stands for ``n/a`` and for a missing column."""

    type: str | None
    units: str | None
    status: str | None
    rate_hz: float | None


@dataclass(frozen=True)
class ChannelTable:
    """``channels.tsv`` of one recording.

    Args:
        file_name: Name for messages.
        rows: Rows by ``channel_key`` of the channel's name.
    """

    file_name: str
    rows: Mapping[str, Channel]

    def row(self, label: str) -> Channel | None:
        """Row of a channel of the file; None for a channel that is not listed."""
        return self.rows.get(channel_key(label))

    def listed(
        self, header: RecordingHeader, reading: ReadParams, resolved: ResolvedChannels | None = None
    ) -> RecordingHeader:
        """The header with labels as the table has them, where it names the same electrode with other words.

        ``POL Fp1`` has the row ``Fp1``. Where the electrodes are known, so have ``Fp1-Cz``, if all channels are
        recorded against Cz, and A1 of BioSemi's cap of 64.

        Args:
            header: Header of the file.
            reading: Options for the file's names.
            resolved: Electrodes of the file, if they are known.
        """
        meant = {key: possible_name(key) for key in self.rows}
        n_meant = Counter(meant.values())
        by_electrode = {name: key for key, name in meant.items() if name and n_meant[name] == 1}
        known = dict(zip(resolved.picks, resolved.montage.channel_names, strict=True)) if resolved else {}

        def as_listed(place: int, label: str) -> str:
            if self.row(label):
                return label
            text = rewritten(label, reading, None)
            return by_electrode.get(known.get(place) or (text and possible_name(text)) or "", label)

        return replace(header, labels=tuple(as_listed(place, label) for place, label in enumerate(header.labels)))

    def is_other(self, label: str) -> bool:
        """Whether the table gives a channel another type than EEG."""
        row = self.row(label)
        return row is not None and row.type not in (None, "EEG")

    def check(self, header: RecordingHeader, picks: Sequence[int]) -> None:
        """Refuse a file that lacks EEG channels of the table, or has other rates for them.

        Raises:
            RecordingError: ``channel_mismatch`` or ``rate_mismatch``.
        """
        there = {channel_key(label) for label in header.labels}
        gone = [key for key in self._electrodes if key not in there]
        if gone:
            reason = f"{self.file_name} lists {len(gone)} EEG channels that the file lacks, e.g. {gone[0]}"
            raise RecordingError("channel_mismatch", reason, FETCH_BOTH)
        for pick in picks:
            row, found_hz = self.row(header.labels[pick]), header.channel_rates_hz[pick]
            stated_hz = row.rate_hz if row else None
            if stated_hz is not None and not math.isclose(stated_hz, found_hz, rel_tol=MAX_RATE_ERROR_RATIO):
                reason = f"{header.labels[pick]} has {found_hz:g} Hz, {self.file_name} says {stated_hz:g} Hz"
                raise RecordingError("rate_mismatch", reason, FETCH_BOTH)

    def flags(self, header: RecordingHeader, resolved: ResolvedChannels) -> tuple[str, ...]:
        """Flags from the table that leave the signal unchanged.

        Returns:
            ``marked_bad:<channel>``; ``status_not_understood:<channel>`` for a status that is neither ``good`` nor
            ``bad`` (the channel counts as good); ``channel_type_missing`` and ``channel_units_missing`` if EEG and the
            file's unit are assumed; ``units_differ`` if table and file disagree; ``channels_tsv_differs`` if they list
            different channels.
        """
        names, flags = resolved.montage.channel_names, []
        rows = {pick: self.row(header.labels[pick]) for pick in resolved.picks}
        for pick, name in zip(resolved.picks, names, strict=True):
            row = rows[pick]
            if row is None or row.status in (None, "good"):
                continue
            flags.append(f"marked_bad:{name}" if row.status == "bad" else f"status_not_understood:{name}")
        listed = {pick: row for pick, row in rows.items() if row is not None}
        there = {channel_key(label) for label in header.labels}
        found = {
            "channel_type_missing": any(row.type is None for row in listed.values()),
            "channel_units_missing": any(row.units is None for row in listed.values()),
            "units_differ": any(_differ(row.units, header.units[pick]) for pick, row in listed.items()),
            "channels_tsv_differs": len(listed) < len(rows) or any(key not in there for key in self.rows),
        }
        return (*flags, *(flag for flag, is_so in found.items() if is_so))

    @property
    def _electrodes(self) -> list[str]:
        """Rows that are EEG by type or, without a type, by name."""
        return [k for k, row in self.rows.items() if row.type == "EEG" or (row.type is None and clean_label(k))]


def channel_key(name: str) -> str:
    """Common key of all names of one channel: ``EEG Fp1-REF`` and ``FP1``, ``E001`` and ``E1``."""
    return clean_label(name) or stripped(name).upper()


def read_channels(path: Path) -> ChannelTable:
    """Read one ``channels.tsv``.

    Raises:
        RecordingError: The table cannot be read, or has contradictory rows of one channel (``unreadable_channels``).
    """
    rows: dict[str, Channel] = {}
    try:
        for row in read_table(path, ["name"], ("type", "units", "status", "sampling_frequency")):
            name, rate = row["name"], row.get("sampling_frequency")
            if name is None:
                raise ValueError("a channel has no name")
            kind, status = (row.get(column) for column in ("type", "status"))
            units = row.get("units")
            channel = Channel(
                type=kind.upper() if kind else None,
                units=units,
                status=status.lower() if status else None,
                rate_hz=float(rate) if rate else None,
            )
            if rows.setdefault(channel_key(name), channel) != channel:
                raise ValueError(f"{name} is listed twice with different values")
    except ValueError as error:
        raise RecordingError(
            "unreadable_channels",
            f"{path.name}: not readable as a BIDS table of channels ({error})",
            "every channel needs a name of its own; correct it, or fetch it again",
        ) from error
    return ChannelTable(path.name, rows)


def resolve_typed(
    header: RecordingHeader,
    table: ChannelTable | None,
    layout: Layout,
    reference: Reference | None,
    reading: ReadParams = AS_WRITTEN,
) -> ResolvedChannels:
    """Find the electrodes among the channels to which the table gives no other type.

    Raises:
        RecordingError: As ``resolve_channels`` and ``ChannelTable.check``.
    """
    if table is None:
        return resolve_channels(header.labels, layout, reference, reading=reading, rates=header.channel_rates_hz)
    is_other = [table.is_other(label) for label in table.listed(header, reading).labels]
    kept = [i for i, other in enumerate(is_other) if not other]
    labels, rates_hz = [header.labels[i] for i in kept], [header.channel_rates_hz[i] for i in kept]
    found = resolve_channels(labels, layout, reference, reading=reading, rates=rates_hz)
    resolved = replace(
        found,
        picks=tuple(kept[pick] for pick in found.picks),
        left_out=(*found.left_out, *(label for label, other in zip(header.labels, is_other, strict=True) if other)),
    )
    table.check(table.listed(header, reading, resolved), resolved.picks)
    return resolved


def _differ(stated: str | None, in_file: str) -> bool:
    if stated is None or not stripped(in_file):
        return False
    return _unit(stated) != _unit(in_file)


def _unit(text: str) -> str:
    return _UNITS.get(stripped(text).lower(), stripped(text))
