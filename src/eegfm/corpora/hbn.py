"""The HBN-EEG corpus as BIDS: 100-Hz BDF files of the challenge, or 500-Hz EEGLAB files of OpenNeuro."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from eegfm.corpora.base import Corpus, Details
from eegfm.corpora.bids_channels import channel_table, resolve_typed
from eegfm.corpora.bids_participants import column_of, persons, read_participants, understood_numbers, with_flags
from eegfm.corpora.bids_sidecars import (
    EVENTS_TSV,
    NOT_RAW,
    Events,
    SideFacts,
    inherited,
    is_boundary,
    nearest,
    read_eeg_json,
    read_events,
)
from eegfm.corpora.config import HbnCorpus
from eegfm.corpora.file_events import triggers_beside
from eegfm.corpora.hbn_tasks import COLUMNS, START_KIT_EXCLUSIONS, TASKS, own_events
from eegfm.corpora.label_join import Labels
from eegfm.corpora.label_rows import LabelRows, refuse_doubtful, say_faults
from eegfm.corpora.side_file_limits import is_there
from eegfm.corpora.side_files import say_unused
from eegfm.corpora.text_tables import is_missing
from eegfm.errors import EegfmError
from eegfm.named import refuse_unmatched
from eegfm.recording import Reference, normalized_subject
from eegfm.signal.config import ReadParams
from eegfm.signal.expected import Expected
from eegfm.signal.header import RecordingHeader
from eegfm.signal.montages.electrodes import AS_WRITTEN, ResolvedChannels
from eegfm.signal.montages.layouts import Layout
from eegfm.signal.text import stripped

_NAME = re.compile(
    r"sub-(?P<subject>[A-Za-z0-9]+)_task-(?P<task>[A-Za-z0-9]+)(?:_run-(?P<run>\d+))?_eeg\.(bdf|set|edf)"
)
RELEASE = "release_number"
"""Column of ``participants.tsv`` with a person's release."""
_FACTORS = ("p_factor", "attention", "internalizing", "externalizing")
RATES_HZ = (500.0, 100.0)
"""Sampling rates of the files on OpenNeuro and of the challenge's files."""


class Hbn(Corpus):
    """129 channels ``E1…E128, Cz``, recorded against Cz; positions come from the HydroCel net, not from files.

    ``docs/hbn.md`` lists the known faults of the published side files and their treatment.
    """

    layout: Layout = "gsn129"
    suffixes: ClassVar[tuple[str, ...]] = (".bdf", ".set", ".edf")
    example = "sub-NDARXXXXXXXX/eeg/sub-NDARXXXXXXXX_task-RestingState_eeg.bdf"

    def __init__(self, config: HbnCorpus, corpus: str) -> None:
        super().__init__(corpus)
        self.reference: Reference | None = "Cz"
        self._named_exclusions = tuple(config.excluded_subjects)
        self._excluded = {normalized_subject(name): why for name, why in config.excluded_subjects.items()}

    def describe(self, path: str) -> dict[str, str] | None:
        """Read the BIDS entities of a file name."""
        *folders, name = path.split("/")
        match = _NAME.fullmatch(name)
        if match is None or NOT_RAW.intersection(folders):
            return None
        return {"subject": match["subject"], "bids_task": match["task"], "run": match["run"] or ""}

    def exclusion(self, fields: Mapping[str, str]) -> str:
        """Reason of a subject on the exclusion list."""
        return self._excluded.get(normalized_subject(fields["subject"]), "")

    def check_names(self, files: pd.DataFrame) -> None:
        """Refuse excluded subjects that do not exist; see the base class.

        Subjects of the start kit may be absent, because they belong to several releases.
        """
        present = set(files["subject"].map(normalized_subject))
        own = [name for name in self._named_exclusions if name not in START_KIT_EXCLUSIONS]
        absent = [name for name in own if normalized_subject(name) not in present]
        where = f"{self.corpus}.ingest.corpus.excluded_subjects"
        refuse_unmatched(where, absent, files["subject"], "files (subject)")

    def sidecars(self, path: str) -> tuple[str, ...]:
        """The side files, and the samples that an EEGLAB file may keep beside it."""
        endings = ("eeg.json", "events.tsv", "channels.tsv")
        samples = (f"{path[:-4]}.fdt",) if path.endswith(".set") else ()
        return (*(place for ending in endings for place in inherited(path, ending)), *samples)

    def index(self, root: Path) -> pd.DataFrame:
        """List the raw files. The release of a person is the official split."""
        table = super().index(root)
        say_unused(root, table["path"], self.sidecars)
        if "release" in table:
            table["official_split"] = table.pop("release").fillna("").astype("str")
        return table

    def labels(self, root: Path) -> Labels | None:
        """Release, age, sex and the four factors of every ``participants.tsv``; ``n/a`` becomes missing.

        The raw folder may be one release, or hold several. The columns about tasks are not read: they disagree with
        the files in thousands of places.

        Raises:
            EegfmError: A table cannot be read, is doubtful about the release of a participant, or contradicts another
                table. Releases are official splits, so none may be lost.
        """
        paths = [p for p in (root / "participants.tsv", *sorted(root.glob("*/participants.tsv"))) if is_there(p)]
        if not paths:
            return None
        tables = [_read_participants(path) for path in paths]
        flags = tuple(dict.fromkeys(flag for rows in tables for flag in rows.flags))
        table = pd.concat([_labels(rows) for rows in tables], ignore_index=True).drop_duplicates()
        twice = table.loc[table["subject"].duplicated(), "subject"]
        if len(twice):
            raise EegfmError(
                f"{' and '.join(map(str, paths))}: they contradict each other about participant {twice.iloc[0]}; "
                "keep one release per raw folder, or correct them"
            )
        return Labels(table, "participants.tsv", flags=flags)

    def expected(self, path: Path) -> Expected:
        """Facts of ``*_eeg.json`` about the signal. If it states no rate, the published rates are expected.

        The challenge's side files state the length of the original. The length of the challenge's signals is rounded to
        whole seconds.
        """
        facts, table = read_eeg_json(path), channel_table(path)
        is_counted = table is not None and bool(table.rows)
        return facts.expected(None if facts.number("SamplingFrequency") else RATES_HZ, is_counted=is_counted)

    def channels(self, path: Path, header: RecordingHeader, reading: ReadParams = AS_WRITTEN) -> ResolvedChannels:
        """Electrodes of the net. If the side file states another reference than Cz, the reference is unknown."""
        is_cz = _other_reference(read_eeg_json(path)) is None
        reference = self.reference if is_cz else "unknown"
        return resolve_typed(header, channel_table(path), self.layout, reference, reading=reading)

    def details(self, path: Path, header: RecordingHeader, reading: ReadParams | None = None) -> Details:
        """The task's own rows of ``*_events.tsv``. In BIDS the side file is the truth, not the signal file.

        ``boundary`` events split the signal, because the challenge's BDF cannot mark discontinuities.
        Facts: ``task_start_s`` and ``task_stop_s`` in recording time; ``noise_events``, values without a meaning.

        Raises:
            RecordingError: A side file cannot be read.
        """
        facts, event_table, names = read_eeg_json(path), _event_table(path), reading or AS_WRITTEN
        flags = [*triggers_beside(header), *facts.flags]
        table, other = channel_table(path), _other_reference(facts)
        if table is not None:
            resolved = self.channels(path, header, names)
            listed = table.listed(header, names, resolved)
            flags += table.flags(listed, resolved)
            flags += table.count_flags(listed, facts.number("EEGChannelCount"))
        if other is not None:
            flags.append(f"other_reference:{other}")
        events = event_table.rows if event_table else []
        fields = self.describe(path.name)
        assert fields is not None, "only files of the layout are read"
        found = own_events(events, fields["bids_task"], fields["run"])
        if event_table is None:
            flags.append("no_events_tsv")
        else:
            flags += [*event_table.flags, *found.flags, *_absent_columns(events, fields["bids_task"])]
        stated = {
            "task_start_s": found.start_s,
            "task_stop_s": found.stop_s,
            "noise_events": ", ".join(found.noise),
        }
        boundaries_s = tuple(event["onset_s"] for event in events if is_boundary(event))
        return Details(found.events, stated, tuple(flags), boundaries_s, facts.reference_electrode)

    def notes(self, path: Path, header: RecordingHeader) -> list[dict[str, Any]]:
        """All rows of ``*_events.tsv``, and the annotations in the file."""
        table = _event_table(path)
        return [*(table.rows if table else ()), *super().notes(path, header)]


def _event_table(path: Path) -> Events | None:
    sidecar = nearest(path, EVENTS_TSV)
    return read_events(sidecar, COLUMNS) if sidecar else None


def _other_reference(facts: SideFacts) -> str | None:
    """The stated reference, if it is not Cz, as a word for a flag."""
    stated = stripped(str(facts.values.get("EEGReference", "")))
    return None if is_missing(stated) or facts.reference == "Cz" else re.sub(r"\W+", "_", stated.lower())


def _absent_columns(events: list[dict[str, Any]], bids_task: str) -> tuple[str, ...]:
    wanted = TASKS[bids_task].columns if bids_task in TASKS and events else ()
    return tuple(f"events_without:{column}" for column in wanted if column not in events[0])


def _read_participants(path: Path) -> LabelRows:
    try:
        rows = read_participants(path)
    except ValueError as error:
        raise EegfmError(f"{path}: not readable as a BIDS table of participants ({error}); correct it") from error
    release = column_of(rows.table, RELEASE)
    refuse_doubtful(rows, [RELEASE, *([release] if release else [])])
    say_faults(rows)
    return rows


def _labels(rows: LabelRows) -> pd.DataFrame:
    out = persons(rows)
    for factor in _FACTORS:
        values, flags = understood_numbers(rows, column_of(rows.table, factor))
        out[factor] = pd.Series(values, dtype="float64")
        out = with_flags(out, flags)
    release = column_of(rows.table, RELEASE)
    out["release"] = pd.Series(rows.table[release].fillna("") if release else "", index=out.index, dtype="str")
    return out
