"""The HBN-EEG corpus as BIDS: 100-Hz BDF files of the challenge, or 500-Hz EEGLAB files of OpenNeuro."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from eegfm.corpora.base import Corpus, Details
from eegfm.corpora.bids_channels import ChannelTable, read_channels, resolve_typed
from eegfm.corpora.bids_participants import column_of, numbers, persons, read_participants
from eegfm.corpora.bids_sidecars import NOT_RAW, SideFacts, inherited, is_boundary, nearest, read_eeg_json, read_events
from eegfm.corpora.config import HbnCorpus
from eegfm.corpora.hbn_tasks import COLUMNS, START_KIT_EXCLUSIONS, TASKS, own_events
from eegfm.corpora.side_file_limits import is_there
from eegfm.corpora.side_files import say_unused
from eegfm.corpora.text_tables import is_missing
from eegfm.errors import EegfmError
from eegfm.named import refuse_unmatched
from eegfm.recording import Reference, normalized_subject
from eegfm.signal.config import ReadParams
from eegfm.signal.expected import Expected
from eegfm.signal.header import RecordingHeader
from eegfm.signal.montages.electrodes import Layout, ResolvedChannels
from eegfm.signal.text import stripped

_NAME = re.compile(
    r"sub-(?P<subject>[A-Za-z0-9]+)_task-(?P<task>[A-Za-z0-9]+)(?:_run-(?P<run>\d+))?_eeg\.(bdf|set|edf)"
)
_FACTORS = ("p_factor", "attention", "internalizing", "externalizing")
RATES_HZ = (500.0, 100.0)
"""Sampling rates of the files on OpenNeuro and of the challenge's files."""


class Hbn(Corpus):
    """129 channels ``E1…E128, Cz``, recorded against Cz; positions come from the HydroCel net, not from files.

    ``docs/hbn.md`` lists the known faults of the published side files and their treatment.
    """

    layout: ClassVar[Layout] = "gsn129"
    suffixes: ClassVar[tuple[str, ...]] = (".bdf", ".set", ".edf")
    label_table: ClassVar[str] = "participants.tsv"
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

    def labels(self, root: Path) -> pd.DataFrame | None:
        """Release, age, sex and the four factors of every ``participants.tsv``; ``n/a`` becomes missing.

        The raw folder may be one release, or hold several. The columns about tasks are not read: they disagree with
        the files in thousands of places.

        Raises:
            EegfmError: A table cannot be read, or two tables contradict each other about a participant.
        """
        paths = [p for p in (root / "participants.tsv", *sorted(root.glob("*/participants.tsv"))) if is_there(p)]
        if not paths:
            return None
        table = pd.concat([_participants(path) for path in paths], ignore_index=True).drop_duplicates()
        twice = table.loc[table["subject"].duplicated(), "subject"]
        if len(twice):
            raise EegfmError(
                f"{' and '.join(map(str, paths))}: they contradict each other about participant {twice.iloc[0]}; "
                "keep one release per raw folder, or correct them"
            )
        return table

    def expected(self, path: Path) -> Expected:
        """Facts of ``*_eeg.json`` about the signal. If it states no rate, the published rates are expected.

        The challenge's side files state the length of the original. The length of the challenge's signals is rounded to
        whole seconds.
        """
        facts = read_eeg_json(path)
        return facts.expected() if facts.number("SamplingFrequency") else facts.expected(RATES_HZ)

    def channels(self, path: Path, header: RecordingHeader) -> ResolvedChannels:
        """Electrodes of the net. If the side file states another reference than Cz, the reference is unknown."""
        is_cz = _other_reference(read_eeg_json(path)) is None
        return resolve_typed(header, _channel_table(path), self.layout, self.reference if is_cz else "unknown")

    def details(self, path: Path, header: RecordingHeader, reading: ReadParams | None = None) -> Details:
        """The task's own rows of ``*_events.tsv``. In BIDS the side file is the truth, not the signal file.

        ``boundary`` events split the signal, because the challenge's BDF cannot mark discontinuities.
        Facts: ``task_start_s`` and ``task_stop_s`` in recording time; ``noise_events``, values without a meaning.

        Raises:
            RecordingError: A side file cannot be read.
        """
        flags: list[str] = []
        table, other = _channel_table(path), _other_reference(read_eeg_json(path))
        if table is not None:
            flags += table.flags(header, self.channels(path, header))
        if other is not None:
            flags.append(f"other_reference:{other}")
        sidecar = nearest(path, "events.tsv")
        events = _event_table(path)
        fields = self.describe(path.name)
        assert fields is not None, "only files of the layout are read"
        found = own_events(events, fields["bids_task"], fields["run"])
        flags += [*found.flags, *_absent_columns(events, fields["bids_task"])] if sidecar else ["no_events_tsv"]
        facts = {
            "task_start_s": found.start_s,
            "task_stop_s": found.stop_s,
            "noise_events": ", ".join(found.noise),
        }
        boundaries_s = tuple(event["onset_s"] for event in events if is_boundary(event))
        reference_electrode = read_eeg_json(path).reference_electrode
        return Details(found.events, facts, tuple(flags), boundaries_s, reference_electrode)

    def notes(self, path: Path, header: RecordingHeader) -> list[dict[str, Any]]:
        """All rows of ``*_events.tsv``, and the annotations in the file."""
        return [*_event_table(path), *super().notes(path, header)]


def _event_table(path: Path) -> list[dict[str, Any]]:
    sidecar = nearest(path, "events.tsv")
    return read_events(sidecar, COLUMNS) if sidecar else []


def _channel_table(path: Path) -> ChannelTable | None:
    sidecar = nearest(path, "channels.tsv")
    return read_channels(sidecar) if sidecar else None


def _other_reference(facts: SideFacts) -> str | None:
    """The stated reference, if it is not Cz, as a word for a flag."""
    stated = stripped(str(facts.values.get("EEGReference", "")))
    return None if is_missing(stated) or facts.reference == "Cz" else re.sub(r"\W+", "_", stated.lower())


def _absent_columns(events: list[dict[str, Any]], bids_task: str) -> tuple[str, ...]:
    wanted = TASKS[bids_task].columns if bids_task in TASKS and events else ()
    return tuple(f"events_without:{column}" for column in wanted if column not in events[0])


def _participants(path: Path) -> pd.DataFrame:
    table = read_participants(path)
    out = persons(table, path)
    for factor in _FACTORS:
        out[factor] = pd.Series(numbers(table, column_of(table, factor), path), dtype="float64")
    release = column_of(table, "release_number")
    out["release"] = pd.Series(table[release].fillna("") if release else "", index=out.index, dtype="str")
    return out
