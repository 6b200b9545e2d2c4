"""The simulated children's corpus as files: HBN's BIDS tree, 129 channels against Cz, BDF or EEGLAB."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from eegfm.corpora.simulated.config import SimulatedHbn
from eegfm.corpora.simulated.files import bdf_bytes, set_bytes
from eegfm.corpora.simulated.head import HBN_NAMES
from eegfm.corpora.simulated.people import FACTORS, Person, evenly, hbn_person
from eegfm.corpora.simulated.physiology import scalp_potential
from eegfm.corpora.simulated.plan import PlannedFile, json_text, text, tsv_text
from eegfm.corpora.simulated.tasks import Timeline, contrast_change, movie, resting

README = """# SIMULATED EEG

No person was recorded. The tree, the file names, the events and `participants.tsv` follow HBN-EEG, the signals are
made by eegfm's simulator; see docs/simulator.md of that project. `simulated.json` holds its parameters.
"""
TASK_COLUMNS = (
    "RestingState",
    "DespicableMe",
    "FunwithFractals",
    "ThePresent",
    "DiaryOfAWimpyKid",
    "contrastChangeDetection_1",
    "contrastChangeDetection_2",
    "contrastChangeDetection_3",
    "surroundSupp_1",
    "surroundSupp_2",
    "seqLearning6target",
    "seqLearning8target",
    "symbolSearch",
)
PERSON_COLUMNS = ("participant_id", "release_number", "sex", "age", "ehq_total", "commercial_use", "full_pheno")
PARTICIPANT_COLUMNS = (*PERSON_COLUMNS, *FACTORS, *TASK_COLUMNS)
CCD = "contrastChangeDetection"


@dataclass(frozen=True)
class Recording:
    """One recording of a person: task, run (0: none), and position among the recordings, which enters the seed."""

    task: str
    run: int
    place: int

    @property
    def column(self) -> str:
        """Column of ``participants.tsv`` that tells whether the recording exists."""
        return f"{self.task}_{self.run}" if self.run else self.task


def plan(config: SimulatedHbn) -> Iterator[PlannedFile]:
    """Plan all files: the tables first, then recordings in order of persons."""
    description: dict[str, object] = {
        "Name": "SIMULATED EEG in the layout of HBN-EEG",
        "BIDSVersion": "1.9.0",
        "DatasetType": "raw",
        "License": "CC0",
        "GeneratedBy": [{"Name": "eegfm simulator"}],
    }
    yield text("dataset_description.json", json_text(description))
    yield text("README", README)
    persons = [hbn_person(config, number) for number in range(config.n_subjects)]
    rows = [_participant(config, person) for person in persons]
    yield text("participants.tsv", tsv_text(PARTICIPANT_COLUMNS, rows))
    yield text("participants.json", json_text({c: {"Description": "Simulated"} for c in PARTICIPANT_COLUMNS}))
    for person in persons:
        for recording in recordings(config):
            yield from _recording_files(config, person, recording)


def recordings(config: SimulatedHbn) -> list[Recording]:
    """List the recordings of each person. A recording's seed does not depend on the other recordings."""
    out = [Recording("RestingState", 0, 0)] if config.resting_s else []
    movies = ("DespicableMe", "DiaryOfAWimpyKid", "FunwithFractals", "ThePresent")
    out += [Recording(name, 0, 1 + movies.index(name)) for name in config.movies]
    return out + [Recording(CCD, run, 4 + run) for run in range(1, config.n_ccd_runs + 1)]


def subject_name(number: int) -> str:
    """Name person ``number``: ``NDARSIM00001`` for 0."""
    return f"NDARSIM{number + 1:05d}"


def timeline(config: SimulatedHbn, person: Person, recording: Recording) -> Timeline:
    """Draw the course of a recording; the same on every call."""
    rng = np.random.default_rng([*person.seed, 2, recording.place, 0])
    if recording.task == "RestingState":
        return resting(config.resting_s, rng)
    if recording.task == CCD:
        return contrast_change(person, config.effects, recording.run, config.ccd_s, rng)
    name = next(m for m in config.movies if m == recording.task)
    return movie(name, config.movie_s, rng)


def _recording_files(config: SimulatedHbn, person: Person, recording: Recording) -> Iterator[PlannedFile]:
    subject = f"sub-{subject_name(person.number)}"
    run = f"_run-{recording.run}" if recording.run else ""
    stem = f"{subject}_task-{recording.task}{run}"
    base = f"{subject}/eeg/{stem}"
    course = timeline(config, person, recording)
    yield PlannedFile(
        f"{base}_eeg.{config.file_format}", partial(_signal_bytes, config, person, recording, f"{stem}_eeg")
    )
    yield text(f"{base}_eeg.json", json_text(_sidecar(config, recording, course)))
    channels = [[name, "EEG", "uV"] for name in HBN_NAMES]
    yield text(f"{base}_channels.tsv", tsv_text(["name", "type", "units"], channels))
    yield text(f"{base}_events.tsv", _events_text(config, recording, course))


def _signal_bytes(config: SimulatedHbn, person: Person, recording: Recording, name: str) -> bytes:
    course = timeline(config, person, recording)
    rng = np.random.default_rng([*person.seed, 2, recording.place, 1])
    signal = scalp_potential(person, course, config.effects, HBN_NAMES, config.rate_hz, rng)
    # The reference is Cz, the last channel, which is therefore flat.
    signal -= signal[-1].copy()
    if config.file_format == "set":
        return set_bytes(signal, HBN_NAMES, config.rate_hz, name, course.events)
    return bdf_bytes(signal, HBN_NAMES, config.rate_hz, subject_name(person.number))


def _sidecar(config: SimulatedHbn, recording: Recording, course: Timeline) -> dict[str, object]:
    return {
        "PowerLineFrequency": 60,
        "TaskName": recording.task,
        "EEGChannelCount": len(HBN_NAMES),
        "EEGReference": "Cz",
        "RecordingType": "continuous",
        "RecordingDuration": course.duration_s,
        "SamplingFrequency": config.rate_hz,
        "SoftwareFilters": "n/a",
        "TaskDescription": "SIMULATED",
    }


def _events_text(config: SimulatedHbn, recording: Recording, course: Timeline) -> str:
    """Format events; only the original layout (``set``) has the column ``sample``, only this task ``feedback``."""
    columns = ["onset", "duration", "value", "event_code"]
    rows = [[f"{e.onset_s:.8g}", "n/a", e.value, e.code] for e in course.events]
    if config.file_format == "set":
        columns.insert(2, "sample")
        for row, event in zip(rows, course.events, strict=True):
            row.insert(2, f"{event.onset_s * config.rate_hz:.8g}")
    if recording.task == CCD:
        columns.append("feedback")
        rows = [[*row, event.feedback] for row, event in zip(rows, course.events, strict=True)]
    return tsv_text(columns, rows)


def _participant(config: SimulatedHbn, person: Person) -> list[str]:
    rng = np.random.default_rng([*person.seed, 3])
    missing = evenly(person.number, config.missing_ratio, 13, 0.5)
    present = {recording.column for recording in recordings(config)}
    handedness = "n/a" if evenly(person.number, 0.05, 17, 0.7) else f"{rng.normal(55, 40):.2f}"
    return [
        f"sub-{subject_name(person.number)}",
        "SIM",
        person.sex,
        f"{person.age_years:g}",
        handedness,
        "Yes",
        "No",
        *("n/a" if missing else f"{person.score(factor):g}" for factor in FACTORS),
        *("available" if column in present else "unavailable" for column in TASK_COLUMNS),
    ]
