"""``channels.tsv`` of EEG-BIDS: types, units and status of channels, compared with the recording's header."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from eegfm.corpora.bids_sidecars import nearest
from eegfm.corpora.side_faults import not_understood, not_utf8, rows_left_out, unreadable
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
from eegfm.signal.montages.labels import core, rewritten
from eegfm.signal.montages.layouts import Layout, raw_name
from eegfm.signal.text import stripped

CHANNELS_TSV = "channels.tsv"
_COLUMNS = ("type", "units", "status", "sampling_frequency")
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
        rows: Rows by ``channel_key`` of the channel's name; none if the table cannot be read.
        faults: Flags of the table itself.
    """

    file_name: str
    rows: Mapping[str, Channel]
    faults: tuple[str, ...] = ()

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
        """True if the table gives a channel another type than EEG."""
        row = self.row(label)
        return row is not None and row.type not in (None, "EEG")

    def check(self, header: RecordingHeader, picks: Sequence[int], may_lack: Collection[str] = ()) -> None:
        """Refuse a file that lacks electrodes of the table, or has other rates for them.

        A row that is no electrode by its name is no reason, nor is an electrode that the table calls bad: it may have
        been dropped from the file.

        Args:
            header: Header of the file.
            picks: Its channels that are taken.
            may_lack: Electrodes that the file may lack, such as its reference.

        Raises:
            RecordingError: ``channel_mismatch`` or ``rate_mismatch``.
        """
        there = {channel_key(label) for label in header.labels}
        gone = [key for key in self._electrodes if key not in there and key not in may_lack]
        if gone:
            reason = f"{self.file_name} lists {len(gone)} EEG channels that the file lacks, e.g. {gone[0]}"
            reason += f"; the file has {len(header.labels)} channels"
            raise RecordingError("channel_mismatch", reason, FETCH_BOTH)
        for pick in picks:
            row, found_hz = self.row(header.labels[pick]), header.channel_rates_hz[pick]
            stated_hz = row.rate_hz if row else None
            if stated_hz is not None and not math.isclose(stated_hz, found_hz, rel_tol=MAX_RATE_ERROR_RATIO):
                reason = f"{header.labels[pick]} has {found_hz:g} Hz, {self.file_name} says {stated_hz:g} Hz"
                raise RecordingError("rate_mismatch", reason, FETCH_BOTH)

    def count_flags(self, header: RecordingHeader, stated: float | None) -> tuple[str, ...]:
        """``channel_count_differs:<stated>`` if ``EEGChannelCount`` is not the number of EEG channels.

        Args:
            header: Header of the file.
            stated: ``EEGChannelCount``; None if it is not stated.
        """
        there = {channel_key(label) for label in header.labels}
        n_eeg = sum(key in there for key, row in self.rows.items() if row.type == "EEG" or _is_electrode(key, row))
        return (f"channel_count_differs:{stated:g}",) if stated is not None and self.rows and stated != n_eeg else ()

    def no_eeg(self, header: RecordingHeader, error: RecordingError) -> RecordingError:
        """The error of a file without an electrode, which says what the table has to do with it."""
        there = {channel_key(label) for label in header.labels}
        named = [key for key in self._electrodes if key not in there]
        typed = [x for x in header.labels if self.is_other(x) and (clean_label(x) or raw_name(core(x)))]
        said = [f"{self.file_name} lists {len(named)} electrodes by other names ({_some(named)})"] if named else []
        said += [f"{self.file_name} gives {len(typed)} of them another type than EEG ({_some(typed)})"] if typed else []
        if not said:
            return error
        remedy = f"give channels the same names in the file and in {self.file_name}" if named else "correct the types"
        return RecordingError(error.code, "; ".join([error.reason, *said]), f"{remedy}, or {error.remedy}")

    def flags(self, header: RecordingHeader, resolved: ResolvedChannels) -> tuple[str, ...]:
        """Flags from the table that leave the signal unchanged.

        Returns:
            ``marked_bad:<channel>``; ``status_not_understood:<channel>`` for a status that is neither ``good`` nor
            ``bad`` (the channel counts as good); ``channel_type_missing`` and ``channel_units_missing`` if EEG and the
            file's unit are assumed; ``units_differ`` if table and file disagree; ``channels_tsv_differs`` if they list
            different channels; the table's own faults.
        """
        if not self.rows:
            return self.faults
        names, flags = resolved.montage.channel_names, [*self.faults]
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
        """Rows that are electrodes by name and may be EEG by type, and that the table does not call bad."""
        return [key for key, row in self.rows.items() if row.status != "bad" and _is_electrode(key, row)]


def _is_electrode(key: str, row: Channel) -> bool:
    return row.type in (None, "EEG") and clean_label(key) is not None


def channel_key(name: str) -> str:
    """Common key of all names of one channel: ``EEG Fp1-REF`` and ``FP1``, ``E001`` and ``E1``."""
    return clean_label(name) or stripped(name).upper()


def read_channels(path: Path) -> ChannelTable:
    """Read one ``channels.tsv``. Its faults are flags: what it does not say clearly, it does not say.

    A channel that is listed twice is bad if one of its rows says so. It has no type, unit or rate where they differ.
    """
    try:
        table = read_table(path, ["name"], _COLUMNS)
    except ValueError:
        return ChannelTable(path.name, {}, (unreadable(CHANNELS_TSV),))
    rows: dict[str, Channel] = {}
    odd: dict[str, None] = dict.fromkeys(table.differing)
    for row in table.rows:
        name, rate = row["name"], row.get("sampling_frequency")
        if name is None:
            continue
        kind, units, status = (row.get(column) for column in ("type", "units", "status"))
        rate_hz = _rate_hz(rate)
        odd |= {"sampling_frequency": None} if rate is not None and rate_hz is None else {}
        channel = Channel(kind.upper() if kind else None, units, status.lower() if status else None, rate_hz)
        first = rows.setdefault(channel_key(name), channel)
        if first != channel:
            odd |= {column: None for column, a, b in zip(_COLUMNS, first, channel, strict=True) if a != b}
            rows[channel_key(name)] = _common(first, channel)
    n_left_out = len(table.odd_lines) + sum(row["name"] is None for row in table.rows)
    faults = (
        *not_utf8(CHANNELS_TSV, is_utf8=table.is_utf8),
        *rows_left_out(CHANNELS_TSV, n_left_out),
        *(not_understood(CHANNELS_TSV, column) for column in odd),
    )
    return ChannelTable(path.name, rows, faults)


def channel_table(path: Path) -> ChannelTable | None:
    """The ``channels.tsv`` that applies to a recording; None if there is none."""
    sidecar = nearest(path, CHANNELS_TSV)
    return read_channels(sidecar) if sidecar else None


def _rate_hz(text: str | None) -> float | None:
    try:
        rate_hz = math.nan if text is None else float(text)
    except ValueError:
        return None
    return rate_hz if math.isfinite(rate_hz) else None


def _common(one: Channel, other: Channel) -> Channel:
    """Return what two rows of one channel agree on."""
    return Channel(
        type=one.type if one.type == other.type else None,
        units=one.units if one.units == other.units else None,
        status="bad" if "bad" in (one.status, other.status) else one.status if one.status == other.status else None,
        rate_hz=one.rate_hz if one.rate_hz == other.rate_hz else None,
    )


def _some(names: Sequence[str], n_shown: int = 3) -> str:
    return ", ".join([*names[:n_shown], *(["…"] if len(names) > n_shown else [])])


def resolve_typed(
    header: RecordingHeader,
    table: ChannelTable | None,
    layout: Layout,
    reference: Reference | None,
    reading: ReadParams = AS_WRITTEN,
    may_lack: Collection[str] = (),
) -> ResolvedChannels:
    """Find the electrodes among the channels to which the table gives no other type.

    Args:
        header: Header of the file.
        table: Its ``channels.tsv``.
        layout: Layout of the electrodes.
        reference: Reference of the recording, if known.
        reading: Options for the file's names.
        may_lack: Electrodes that the table may list and the file may lack, such as the reference.

    Raises:
        RecordingError: As ``resolve_channels`` and ``ChannelTable.check``.
    """
    if table is None:
        return resolve_channels(header.labels, layout, reference, reading=reading, rates=header.channel_rates_hz)
    is_other = [table.is_other(label) for label in table.listed(header, reading).labels]
    kept = [i for i, other in enumerate(is_other) if not other]
    labels, rates_hz = [header.labels[i] for i in kept], [header.channel_rates_hz[i] for i in kept]
    try:
        found = resolve_channels(labels, layout, reference, reading=reading, rates=rates_hz)
    except RecordingError as error:
        raise (table.no_eeg(header, error) if error.code == "no_eeg" else error) from error
    resolved = replace(
        found,
        picks=tuple(kept[pick] for pick in found.picks),
        left_out=(*found.left_out, *(label for label, other in zip(header.labels, is_other, strict=True) if other)),
    )
    table.check(table.listed(header, reading, resolved), resolved.picks, may_lack)
    return resolved


def _differ(stated: str | None, in_file: str) -> bool:
    if stated is None or not stripped(in_file):
        return False
    return _unit(stated) != _unit(in_file)


def _unit(text: str) -> str:
    return _UNITS.get(stripped(text).lower(), stripped(text))
