"""HBN's real side files: all of release 5, and every known fault of the others, with signals that are made up here."""

import csv
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bids_tree import convert_file, header, write_eeglab
from eegfm.corpora.config import HbnCorpus
from eegfm.corpora.hbn import Hbn
from eegfm.corpora.hbn_tasks import NOISE, START_KIT_EXCLUSIONS
from eegfm.jobs.ingest.convert import Converted
from eegfm.signal.config import SignalParams
from eegfm.signal.expected import check_expected
from eegfm.store.index import RejectedEntry

HBN: Hbn = HbnCorpus().build("hbn")
ALL_SUBJECTS = HbnCorpus(excluded_subjects={})
NAMES = (*(f"E{i}" for i in range(1, 129)), "Cz")


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Path:
    root = shared_data / "hbn_meta"
    if not root.is_dir():
        pytest.skip(f"real side files are not here: {root} does not exist")
    return root


@pytest.fixture(scope="module")
def release_5(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The side files of release 5 linked, and an empty recording beside each ``events.tsv``."""
    root = tmp_path_factory.mktemp("release_5")
    for source in (real / "ds005509").rglob("*"):
        target = root / source.relative_to(real / "ds005509")
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)
            if source.name.endswith("_events.tsv"):
                target.with_name(source.name.replace("_events.tsv", "_eeg.set")).touch()
    return root


def plain_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def events_path(recording: Path) -> Path:
    return recording.with_name(recording.name.replace("_eeg.set", "_events.tsv"))


def test_tables_of_release_5(release_5: Path) -> None:
    found = HBN.labels(release_5)
    assert found is not None
    labels = found.rows
    assert len(labels) == 330
    table = HBN.index(release_5)
    assert table["recording_id"].is_unique
    assert set(table["official_split"]) == {"R5"}
    assert (table["excluded"] == "").all()
    assert table["age_years"].between(5, 22).all()
    assert table.loc[table["subject"] == "NDARBF851NH6", "externalizing"].isna().all()
    mini = {
        "RestingState": 20, "DespicableMe": 20, "DiaryOfAWimpyKid": 20, "FunwithFractals": 20, "ThePresent": 20,
        "surroundSupp": 40, "symbolSearch": 20, "seqLearning6target": 6, "seqLearning8target": 14,
    }  # fmt: skip
    assert table["bids_task"].value_counts().to_dict() == {**mini, "contrastChangeDetection": 745}
    ccd = table[table["bids_task"] == "contrastChangeDetection"]
    assert ccd["run"].value_counts().to_dict() == {"1": 233, "2": 257, "3": 255}
    assert (ccd["sidecars"].str.contains("_events.tsv:")).all()
    assert (ccd["sidecars"].str.contains("task-contrastChangeDetection_eeg.json:")).all()


def task_rows(rows: list[dict[str, str]], run: str) -> list[tuple[float, str]]:
    """A run's own rows by a plain loop: after its start, before a movie starts, no marks of the recording system."""
    kept, started = [], False
    for row in rows:
        started |= row["value"] == f"contrastChangeB{run}_start"
        if row["value"] == "video_start":
            break
        if started and row["value"] not in {"break cnt", "9999", "boundary"}:
            kept.append((float(row["onset"]), row["value"]))
    return kept


def test_all_745_event_files_of_contrast_change_detection(release_5: Path) -> None:
    head, n_trials, reaction_times_s, flags, files = header(NAMES), 0, [], Counter[str](), HBN.index(release_5)
    files = files[files["bids_task"] == "contrastChangeDetection"]
    for path, run in zip(files["path"], files["run"], strict=True):
        rows = plain_rows(events_path(release_5 / path))
        details = HBN.details(release_5 / path, head)
        assert [(e["onset_s"], e["value"]) for e in details.events] == task_rows(rows, run)
        assert details.facts["task_start_s"] == details.events[0]["onset_s"]
        n_noise = sum(row["value"] in NOISE for row in rows)
        n_others = len(rows) - n_noise - len(details.events)
        assert (f"other_task_events:{n_others}" in details.flags) == (n_others > 0)
        flags.update(flag.partition(":")[0] for flag in details.flags)
        n, found_s = trials(details.events)
        n_trials, reaction_times_s = n_trials + n, reaction_times_s + found_s
    # 17,883 with three starts that stand at time zero, minutes before the task does.
    assert (n_trials, len(reaction_times_s)) == (17_880, 15_144)
    assert np.mean(reaction_times_s) == pytest.approx(1.5894, abs=5e-5)
    assert np.std(reaction_times_s) == pytest.approx(0.3930, abs=5e-5)
    assert set(flags) == {"other_task_events"}
    assert flags["other_task_events"] == 21 + 9  # before the start, after the next


def trials(events: list[dict[str, Any]]) -> tuple[int, list[float]]:
    """Closed trials of one run, and the reaction times of those that are answered."""
    starts_s = [event["onset_s"] for event in events if event["value"] == "contrastTrial_start"]
    reaction_times_s = []
    for start_s, stop_s in itertools.pairwise(starts_s):
        trial = [(e["onset_s"], e["value"]) for e in events if start_s <= e["onset_s"] < stop_s]
        target_s = next((onset_s for onset_s, value in trial if value.endswith("_target")), np.inf)
        presses_s = [onset_s for onset_s, value in trial if value.endswith("_buttonPress") and onset_s >= target_s]
        reaction_times_s += [presses_s[0] - target_s] if presses_s else []
    return len(starts_s) - 1, reaction_times_s


def test_all_side_files_of_the_mini_subjects_fit_a_recording_as_they_describe_it(release_5: Path) -> None:
    sidecars = sorted(release_5.glob("sub-*/eeg/*_eeg.json"))
    assert len(sidecars) == 240
    for sidecar in sidecars:
        path, facts = sidecar.with_suffix(".set"), json.loads(sidecar.read_text())
        head = header(NAMES, rate_hz=500.0, n_samples=round(facts["RecordingDuration"] * 500))
        check_expected(head, HBN.expected(path), path.name)
        channels = HBN.channels(path, head)
        assert (channels.montage.channel_names, channels.montage.reference) == (NAMES, "Cz")
        details = HBN.details(path, head)
        assert details.facts["task_start_s"] is not None
        assert (details.facts["task_stop_s"] is not None) == any(
            task in path.name for task in ("DespicableMe", "Diary", "Fractals", "ThePresent", "seqLearning")
        )
        assert all(head.position_of(event["onset_s"]) is not None for event in details.events)
        flags = {flag.partition(":")[0] for flag in details.flags}
        assert flags <= {"other_task_events"}, (path.name, details.flags)


def test_participants_of_all_releases(real: Path) -> None:
    counts = {"ds005505": 136, "ds005506": 150, "ds005507": 184, "ds005508": 324, "ds005509": 330, "ds005511": 381,
              "ds005512": 257, "ds005514": 295, "ds005515": 533, "ds005516": 430}  # fmt: skip
    found = HBN.labels(real)
    assert found is not None
    together = found.rows
    assert len(together) == sum(counts.values()) == together["subject"].nunique()
    for release, n in counts.items():
        one = HBN.labels(real / release)
        assert one is not None
        table = one.rows
        assert len(table) == n
        assert table["release"].nunique() == 1
        assert table["age_years"].between(5, 23).all()
        assert set(table["sex"]) == {"F", "M"}
        assert table["p_factor"].isna().sum() < 10
    assert (together["release"] == "R5").sum() == 330
    first = together.set_index("subject").loc["NDARAC904DMU"]
    assert (first["age_years"], first["p_factor"], first["attention"]) == (11.3386, -0.603, -0.446)
    assert (first["internalizing"], first["externalizing"]) == (1.248, 0.325)
    assert set(START_KIT_EXCLUSIONS) <= set(together["subject"])


def with_signal(real: Path, folder: Path, stem: str, names: tuple[str, ...] = NAMES, rate_hz: float = 100.0) -> str:
    """Real side files beside a made-up signal of the length that they state, at the challenge's rate.

    As in the challenge's files, the rate in the recording's own JSON is that of the signal.
    """
    [source] = (real / "quirks").glob(f"*/*/eeg/{stem}_eeg.json")
    target = folder / source.parent.parent.name / "eeg"
    target.mkdir(parents=True, exist_ok=True)
    for suffix in ("_events.tsv", "_channels.tsv"):
        (target / f"{stem}{suffix}").write_bytes(source.with_name(f"{stem}{suffix}").read_bytes())
    facts = json.loads(source.read_text()) | {"SamplingFrequency": rate_hz}
    (target / source.name).write_text(json.dumps(facts))
    n_samples = max(round(facts["RecordingDuration"] * rate_hz), 1)
    signal_uv = np.random.default_rng(0).standard_normal((len(names), n_samples), dtype=np.float32) * 20
    write_eeglab(target / f"{stem}_eeg.set", signal_uv, names, rate_hz)
    return (target / f"{stem}_eeg.set").relative_to(folder).as_posix()


@pytest.mark.parametrize(
    ("stem", "start_s", "noise", "flags"),
    [
        # Release 3 states no number of channels, which is no fault.
        ("sub-NDARAA948VFH_task-RestingState", 1.826, "boundary, break cnt", set()),
        # Release 11 has neither types nor units of channels; this file has no feedback either.
        (
            "sub-NDARRK694GD5_task-contrastChangeDetection_run-1",
            171.056,
            "9999, break cnt",
            {"channel_type_missing", "channel_units_missing", "events_without:feedback"},
        ),
        # The path of a file as an event's value.
        ("sub-NDARFR095UJK_task-seqLearning6target", 344.184, "boundary", {"unknown_events:1"}),
    ],
)
def test_faults_that_are_flagged(
    real: Path, tmp_path: Path, stem: str, start_s: float, noise: str, flags: set[str]
) -> None:
    done = convert_file(ALL_SUBJECTS, tmp_path, with_signal(real, tmp_path, stem), tmp_path / ".spool")
    assert isinstance(done, Converted), done
    assert (set(done.facts["flags"]), done.facts["noise_events"]) == (flags, noise)
    assert done.facts["task_start_s"] == start_s == pytest.approx(done.events[0]["onset_s"])
    [table] = tmp_path.rglob("*_events.tsv")
    n_dropped = sum(row["value"] in NOISE or row["value"].startswith("./") for row in plain_rows(table))
    assert len(done.events) == len(plain_rows(table)) - n_dropped


@pytest.mark.parametrize(
    ("stem", "n_channels", "code", "reason"),
    [
        ("sub-NDARTY128YLU_task-RestingState", 129, "too_short", "lasts 0.04 s"),
        ("sub-NDARME789TD2_task-RestingState", 129, "too_short", "lasts 2.01 s"),
        ("sub-NDARUJ292JXV_task-RestingState", 6, "too_few_channels", "6 EEG channels"),
        ("sub-NDARUJ292JXV_task-symbolSearch", 6, "too_few_channels", "6 EEG channels"),
        # The same file with 129 channels would not be the one that its side files describe.
        ("sub-NDARTY128YLU_task-RestingState", 128, "channel_mismatch", "128 channels"),
    ],
)
def test_faults_that_reject(real: Path, tmp_path: Path, stem: str, n_channels: int, code: str, reason: str) -> None:
    path = with_signal(real, tmp_path, stem, NAMES[:n_channels], rate_hz=500.0 if "TY128" in stem else 100.0)
    done = convert_file(ALL_SUBJECTS, tmp_path, path, tmp_path / ".spool", SignalParams())
    assert isinstance(done, RejectedEntry)
    assert (done.code, done.path) == (code, path)
    assert reason in done.reason
    assert HBN.index(tmp_path)["excluded"].tolist() == [START_KIT_EXCLUSIONS[path[4:16]]]


def test_six_channels_against_a_common_reference(real: Path, tmp_path: Path) -> None:
    """Where a user allows six channels, they are in, against a reference that is not known to be Cz."""
    path = with_signal(real, tmp_path, "sub-NDARUJ292JXV_task-symbolSearch", NAMES[:6])
    done = convert_file(ALL_SUBJECTS, tmp_path, path, tmp_path / ".spool", SignalParams(min_channels=6))
    assert isinstance(done, Converted)
    assert (done.montage.n_channels, done.montage.reference) == (6, "unknown")
    assert "other_reference:common" in done.facts["flags"]


def test_a_subject_that_is_excluded_without_a_visible_fault(real: Path, tmp_path: Path) -> None:
    path = with_signal(real, tmp_path, "sub-NDARWV769JM7_task-RestingState")
    assert HBN.index(tmp_path)["excluded"].tolist() == [START_KIT_EXCLUSIONS["NDARWV769JM7"]]
    done = convert_file(ALL_SUBJECTS, tmp_path, path, tmp_path / ".spool")
    assert isinstance(done, Converted)
    assert done.facts["flags"] == []
