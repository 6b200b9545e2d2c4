"""Corpus for any EEG-BIDS folder: EDF, BDF, BrainVision or EEGLAB files with their side files."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pandas as pd

from eegfm.corpora.base import RECORDING_COLUMNS, Corpus, Details
from eegfm.corpora.bids_channels import ChannelTable, channel_table, resolve_typed
from eegfm.corpora.bids_participants import AGE_AS_WRITTEN, SEX_AS_WRITTEN, persons, read_participants, with_columns
from eegfm.corpora.bids_parts import is_shared, length_flags, other_parts, place_in_part, read_parts, with_parts
from eegfm.corpora.bids_positions import (
    Measured,
    PositionSource,
    Units,
    other_units,
    place,
    position_files,
    read_positions,
)
from eegfm.corpora.bids_sidecars import (
    EVENTS_TSV,
    Events,
    SideFacts,
    entities,
    inherited,
    is_boundary,
    nearest,
    read_eeg_json,
    read_events,
)
from eegfm.corpora.config import BidsCorpus
from eegfm.corpora.file_events import file_events, triggers_beside
from eegfm.corpora.label_join import Labels
from eegfm.corpora.label_rows import say_faults
from eegfm.corpora.side_faults import unreadable
from eegfm.corpora.side_file_limits import is_there
from eegfm.corpora.side_files import say_unused
from eegfm.errors import EegfmError, RecordingError
from eegfm.named import refuse_unmatched
from eegfm.recording import Montage, Reference
from eegfm.signal.config import ReadParams
from eegfm.signal.expected import Expected
from eegfm.signal.header import RecordingHeader
from eegfm.signal.montages.electrodes import AS_WRITTEN, ResolvedChannels, clean_label
from eegfm.signal.montages.references import not_in_average

_log = logging.getLogger(__name__)

DATA_FILES = {".set": (".fdt",), ".vhdr": (".eeg", ".vmrk")}
"""Suffixes of further files that hold a part of a recording, by the suffix of its main file."""
PARTICIPANTS_TSV = "participants.tsv"
_OWN_COLUMNS = RECORDING_COLUMNS | {"acquisition", "age_years", "sex", AGE_AS_WRITTEN, SEX_AS_WRITTEN}


class Bids(Corpus):
    """Persons, sessions and tasks from the names, everything else from the side files."""

    suffixes: ClassVar[tuple[str, ...]] = (".edf", ".bdf", ".vhdr", ".set")
    example = "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-1_eeg.edf"

    def __init__(self, config: BidsCorpus, corpus: str) -> None:
        super().__init__(corpus)
        self._layout = config.layout
        self._positions: PositionSource = config.positions
        self._position_units: Units | None = config.position_units
        self._tasks = config.tasks
        self._labels = config.labels
        self.reference: Reference | None = config.reference

    def describe(self, path: str) -> dict[str, str] | None:
        """Read the entities of a file name. The file must lie in the folders of its person and session."""
        *folders, name = path.split("/")
        known = entities(name)
        if known is None:
            return None
        session = [f"ses-{known['ses']}"] if "ses" in known else []
        if folders != [f"sub-{known['sub']}", *session, "eeg"]:
            return None
        return {
            "subject": known["sub"],
            "session": known.get("ses", ""),
            "bids_task": known["task"],
            "acquisition": known.get("acq", ""),
            "run": known.get("run", ""),
        }

    def exclusion(self, fields: Mapping[str, str]) -> str:
        """Leave out tasks that are not configured."""
        if self._tasks and fields["bids_task"] not in self._tasks:
            return f"task {fields['bids_task']} is not among corpus.tasks={list(self._tasks)}"
        return ""

    def check_names(self, files: pd.DataFrame) -> None:
        """Refuse tasks without any file; see the base class."""
        refuse_unmatched(f"{self.corpus}.ingest.corpus.tasks", self._tasks, files["bids_task"], "files (bids_task)")

    def sidecars(self, path: str) -> tuple[str, ...]:
        """Every path from which a side file may be inherited, and the files that hold a part of the recording."""
        endings = ("eeg.json", "events.tsv", "channels.tsv")
        return (
            *(place for ending in endings for place in inherited(path, ending)),
            *position_files(path),
            *data_files(path),
        )

    def other_parts(self, root: Path, path: str) -> tuple[str, ...]:
        """The other parts of a recording in several files."""
        return tuple(part.relative_to(root).as_posix() for part in other_parts(root / path, self.suffixes))

    def labels(self, root: Path) -> Labels | None:
        """Age, sex and the configured columns of ``participants.tsv``; ``n/a`` becomes missing.

        Raises:
            EegfmError: Configured columns are reserved, missing or doubtful, or their table cannot be read.
        """
        path = root / PARTICIPANTS_TSV
        hidden = [name for name in self._labels if name in _OWN_COLUMNS]
        if hidden:
            raise EegfmError(f"corpus.labels names {', '.join(hidden)}, which mean something else; leave them out")
        if not self._is_there(path):
            if self._labels:
                raise EegfmError(f"{path} does not exist; corpus.labels={list(self._labels)} are columns of it")
            return None
        try:
            rows = read_participants(path)
        except ValueError as error:
            said = f"{path}: not readable as a BIDS table of participants ({error})"
            if self._labels:
                raise EegfmError(
                    f"{said}; corpus.labels={list(self._labels)} are columns of it, so correct it"
                ) from error
            _log.warning("%s; nobody has an age, sex or other label; correct it, or fetch it again", said)
            nobody = pd.DataFrame({"subject": [], "age_years": [], "sex": []}).astype({"subject": "str", "sex": "str"})
            return Labels(nobody, PARTICIPANTS_TSV, flags=(unreadable(PARTICIPANTS_TSV),), is_read=False)
        say_faults(rows)
        return Labels(with_columns(persons(rows), rows, self._labels), PARTICIPANTS_TSV, flags=rows.flags)

    def _is_there(self, table: Path) -> bool:
        """True if the table of persons exists. Without configured labels, a table that was not fetched is no error."""
        try:
            return is_there(table)
        except RecordingError as error:
            if self._labels:
                raise
            _log.warning("%s: ages and sexes are unknown: %s", self.corpus, error)
            return False

    def index(self, root: Path) -> pd.DataFrame:
        """List the raw files. Parts of one recording are linked; unused side files are logged."""
        table = super().index(root)
        say_unused(root, table["path"], self.sidecars)
        return with_parts(table)

    def expected(self, path: Path) -> Expected:
        """Rate, length and number of channels of ``*_eeg.json``. A length of the whole is not used for a part."""
        facts, table = read_eeg_json(path), channel_table(path)
        expected = facts.expected(is_counted=table is not None and bool(table.rows))
        return replace(expected, duration_s=None) if _shared_length(path, facts) else expected

    def channels(self, path: Path, header: RecordingHeader, reading: ReadParams = AS_WRITTEN) -> ResolvedChannels:
        """Electrodes by ``channels.tsv`` and name, placed by the template or by ``electrodes.tsv``."""
        return self._resolved(path, header, reading)[0]

    def details(self, path: Path, header: RecordingHeader, reading: ReadParams | None = None) -> Details:
        """Rows of ``events.tsv``, or the file's own events if no table can be read, and flags from the side files."""
        sidecar, facts = nearest(path, EVENTS_TSV), read_eeg_json(path)
        table = read_events(sidecar) if sidecar else Events([], is_read=False)
        if table.is_read:
            events, flags = table.rows, triggers_beside(header)
        else:
            events, flags = file_events(header, reading or ReadParams())
        resolved, channel_flags = self._resolved(path, header, reading or AS_WRITTEN)
        flags = (*flags, *channel_flags, *table.flags, *facts.flags)
        is_of_all_parts = sidecar is not None and table.is_read and is_shared(path, sidecar)
        if is_of_all_parts:
            parts = read_parts(path, self.suffixes)
            events, part_flags = place_in_part(path, header, events, parts, reading)
            stated_s = _shared_length(path, facts)
            flags += (*part_flags, *(() if stated_s is None else length_flags(header, stated_s, parts, reading)))
        n_without_value = sum(not event["value"] for event in events) if table.is_read else 0
        flags += (f"events_without_value:{n_without_value}",) if n_without_value else ()
        boundaries_s = tuple(event["onset_s"] for event in events if is_boundary(event))
        flags += (
            not_in_average(clean_label(facts.reference_electrode or ""), resolved.montage)
            if self.reference is None
            else ()
        )
        return Details(events, {}, flags, boundaries_s, facts.reference_electrode, opened_others=is_of_all_parts)

    def _resolved(
        self, path: Path, header: RecordingHeader, reading: ReadParams
    ) -> tuple[ResolvedChannels, tuple[str, ...]]:
        """Electrodes with their positions, and flags."""
        table, facts = channel_table(path), read_eeg_json(path)
        reference = self.reference or facts.reference
        no_eeg = None
        try:
            # A table may list the reference, which no file holds that was recorded against it.
            may_lack = {facts.reference_electrode or ""}
            resolved = resolve_typed(header, table, self._layout, reference, reading, may_lack)
        except RecordingError as error:
            if error.code != "no_eeg":
                raise
            # Electrodes that no template has may still have measured positions.
            no_eeg, resolved = error, _unplaced(header, table, reference)
        resolved, flags = self._placed(path, header, resolved)
        if no_eeg is not None and not resolved.picks:
            advice = other_units(flags)
            raise RecordingError(no_eeg.code, no_eeg.reason, f"{advice}, or {no_eeg.remedy}") if advice else no_eeg
        if table is None:
            return resolved, flags
        listed = table.listed(header, reading, resolved)
        counted = table.count_flags(listed, facts.number("EEGChannelCount"))
        return resolved, (*flags, *table.flags(listed, resolved), *counted)

    def _placed(
        self, path: Path, header: RecordingHeader, resolved: ResolvedChannels
    ) -> tuple[ResolvedChannels, tuple[str, ...]]:
        if self._positions == "template" and not resolved.not_understood:
            return resolved, ()
        template = resolved.montage
        template_m = dict(zip(template.channel_names, template.positions_m, strict=True))
        measured = read_positions(path, template_m, self._position_units)
        placed = place(resolved, header.labels, measured.positions_m, self._positions)
        if self._positions == "template":
            return placed, tuple(flag for flag in measured.flags if flag != "no_electrodes_tsv")
        return placed, (*measured.flags, *_from_template(placed.montage, measured))


def data_files(path: str) -> tuple[str, ...]:
    """Paths of further files that hold a part of a recording."""
    stem, _, suffix = path.rpartition(".")
    return tuple(f"{stem}{other}" for other in DATA_FILES.get(f".{suffix}", ()))


def _shared_length(path: Path, facts: SideFacts) -> float | None:
    """Length of the whole recording according to a side file of a part."""
    source = facts.files.get("RecordingDuration")
    return facts.number("RecordingDuration") if source and is_shared(path, source) else None


def _unplaced(header: RecordingHeader, table: ChannelTable | None, reference: Reference | None) -> ResolvedChannels:
    """Result for a file without any electrode of the template."""
    others = tuple(label for label in header.labels if table is not None and table.is_other(label))
    return ResolvedChannels(
        picks=(),
        montage=Montage((), (), (), reference or "unknown"),
        not_understood=tuple(label for label in header.labels if label not in others),
        left_out=others,
    )


def _from_template(montage: Montage, measured: Measured) -> tuple[str, ...]:
    """Flag electrodes without a measured position, if others of the recording have one."""
    if not measured.positions_m:
        return ()
    return tuple(f"template_position:{name}" for name in montage.channel_names if name not in measured.positions_m)
