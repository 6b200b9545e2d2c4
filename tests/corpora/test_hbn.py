"""HBN as BIDS: names, participants, side files, and what is done where they depart from the rule."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bids_tree import convert_file, header, write_eeglab, write_signal, write_tree
from eegfm.corpora.config import HbnCorpus
from eegfm.corpora.hbn import Hbn
from eegfm.corpora.simulated.config import SimulatedHbn
from eegfm.corpora.simulated.hbn import plan
from eegfm.errors import ConfigError, EegfmError, RecordingError
from eegfm.jobs.ingest.convert import Converted
from eegfm.signal.expected import check_expected
from eegfm.store.index import RejectedEntry

HBN: Hbn = HbnCorpus().build("hbn")
NAMES = (*(f"E{i}" for i in range(1, 129)), "Cz")
RESTING = "sub-NDARAA1/eeg/sub-NDARAA1_task-RestingState_eeg.bdf"
STEM = RESTING.removesuffix("_eeg.bdf")
CHANNELS = [("name", "type", "units"), *((name, "EEG", "uV") for name in NAMES)]
EVENTS = [
    ("onset", "duration", "sample", "value", "event_code"),
    (0, "n/a", 0, "break cnt", "break cnt"),
    (1.5, "n/a", 150, "resting_start", 90),
    (2.5, "n/a", 250, "instructed_toOpenEyes", 20),
    (9, "n/a", 900, "video_start", 84),
]


def sidecar(**changed: Any) -> dict[str, Any]:
    facts = {"SamplingFrequency": 100, "RecordingDuration": 10.3, "EEGChannelCount": 129, "EEGReference": "Cz"}
    return {key: value for key, value in (facts | changed).items() if value is not None}


def tree(root: Path, **files: Any) -> Path:
    """A tree of one resting state; ``events``, ``channels`` and ``eeg`` replace its side files, None leaves one out."""
    content = {"events": EVENTS, "channels": CHANNELS, "eeg": sidecar()} | files
    kinds = {"events": f"{STEM}_events.tsv", "channels": f"{STEM}_channels.tsv", "eeg": f"{STEM}_eeg.json"}
    return write_tree(root, {kinds.get(name, name): value for name, value in content.items() if value is not None})


def converted(root: Path, path: str = RESTING) -> Converted:
    done = convert_file(HbnCorpus(), root, path, root / ".spool")
    assert isinstance(done, Converted), done
    return done


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RESTING, ("NDARAA1", "RestingState", "")),
        ("eeg/sub-NDARAA1_task-contrastChangeDetection_run-2_eeg.set", ("NDARAA1", "contrastChangeDetection", "2")),
        ("ds005505/sub-NDARAA1/eeg/sub-NDARAA1_task-ThePresent_eeg.edf", ("NDARAA1", "ThePresent", "")),
        ("sub-NDARAA1/eeg/sub-NDARAA1_task-ThePresent_channels.set", None),
        ("sub-NDARAA1/eeg/NDARAA1_task-ThePresent_eeg.set", None),
        ("sub-NDARAA1/eeg/sub-NDARAA1_task-ThePresent_eeg.fdt", None),
        (f"derivatives/clean/{RESTING}", None),
        (f"ds005505/code/{RESTING}", None),
    ],
)
def test_names(path: str, fields: tuple[str, str, str] | None) -> None:
    expected = None if fields is None else dict(zip(("subject", "bids_task", "run"), fields, strict=True))
    assert HBN.describe(path) == expected


def test_exclusion_list(tmp_path: Path) -> None:
    paths = [RESTING.replace("NDARAA1", s) for s in ("NDARAA1", "NDARTY128YLU", "NDARUJ292JXV")]
    write_tree(tmp_path, dict.fromkeys(paths, b""))
    table = HBN.index(tmp_path).set_index("subject")["excluded"]
    assert table["NDARAA1"] == ""
    assert table["NDARTY128YLU"] == "its resting state lasts 0.04 s: the recording was cut off"
    assert table["NDARUJ292JXV"] == "6 channels against a common reference in place of 129 against Cz"
    mine = HbnCorpus(excluded_subjects={"NDARAA1": "asleep"}).build("hbn").index(tmp_path)
    assert mine["excluded"].tolist() == ["asleep", "", ""]
    spelt = HbnCorpus(excluded_subjects={"sub-ndaraa1 ": "asleep"}).build("hbn").index(tmp_path)
    assert spelt["excluded"].tolist() == ["asleep", "", ""]


def test_subjects_to_leave_out_who_are_not_there_are_refused(tmp_path: Path) -> None:
    write_tree(tmp_path, {RESTING: b""})
    corpus = HbnCorpus(excluded_subjects={"NDARAA2": "asleep", "NDARTY128YLU": "short"}).build("hbn")
    with pytest.raises(ConfigError, match=r"excluded_subjects: 'NDARAA2' matches none of 1 files.*mean 'NDARAA1'"):
        corpus.index(tmp_path)


PARTICIPANTS = [
    ("participant_id", "release_number", "sex", "age", "p_factor", "attention", "internalizing", "externalizing"),
    ("sub-NDARAA1", "R5", "F", 11.3386, "n/a", -0.446, "n/a", 0.325),
    ("sub-NDARBB2", "n/a", "n/a", "n/a", 1.5, "n/a", 0, "n/a"),
]


def test_participants_with_gaps(tmp_path: Path) -> None:
    labels = HBN.labels(write_tree(tmp_path, {"participants.tsv": PARTICIPANTS}))
    assert labels is not None
    table = labels.rows
    assert table["subject"].tolist() == ["NDARAA1", "NDARBB2"]
    assert table["sex"].tolist() == ["F", ""]
    assert table["release"].tolist() == ["R5", ""]
    np.testing.assert_array_equal(table["age_years"], [11.3386, np.nan])
    np.testing.assert_array_equal(table["p_factor"], [np.nan, 1.5])
    np.testing.assert_array_equal(table["attention"], [-0.446, np.nan])
    np.testing.assert_array_equal(table["internalizing"], [np.nan, 0.0])
    np.testing.assert_array_equal(table["externalizing"], [0.325, np.nan])
    assert (table.dtypes[["age_years", "p_factor", "externalizing"]] == "float64").all()


def test_index_joins_the_participants(tmp_path: Path) -> None:
    files = {
        "participants.tsv": PARTICIPANTS,
        RESTING: b"",
        RESTING.replace("AA1", "CC3"): b"",
        "derivatives/x.bdf": b"",
    }
    table = HBN.index(write_tree(tmp_path, files)).set_index("subject")
    row = table.loc["NDARAA1"]
    assert (row["sex"], row["age_years"], row["bids_task"], row["official_split"]) == (
        "F",
        11.3386,
        "RestingState",
        "R5",
    )
    assert math.isnan(row["p_factor"])
    # A person without a row, and a file that is none, stay with missing labels.
    assert table.loc["NDARCC3", "official_split"] == table.loc["", "official_split"] == ""
    assert math.isnan(table.loc["NDARCC3", "age_years"])
    assert "release" not in table


def test_without_participants_there_are_no_labels(tmp_path: Path) -> None:
    table = HBN.index(write_tree(tmp_path, {RESTING: b""}))
    assert "age_years" not in table
    assert table["official_split"].tolist() == [""]


def test_several_releases_in_one_folder(tmp_path: Path) -> None:
    other = [PARTICIPANTS[0], ("sub-NDARDD4", "R1", "M", 7, 0, 0, 0, 0), PARTICIPANTS[2]]
    files = {
        "ds005505/participants.tsv": other,
        f"ds005505/{RESTING.replace('AA1', 'DD4')}": b"",
        "ds005509/participants.tsv": PARTICIPANTS,
        f"ds005509/{RESTING}": b"",
    }
    table = HBN.index(write_tree(tmp_path, files))
    assert table["subject"].tolist() == ["NDARDD4", "NDARAA1"]
    assert table["official_split"].tolist() == ["R1", "R5"]
    write_tree(tmp_path, {"ds005505/participants.tsv": [*other, ("sub-NDARAA1", "R5", "F", 12, 0, 0, 0, 0)]})
    with pytest.raises(EegfmError, match=r"participants\.tsv: they contradict each other about participant NDARAA1"):
        HBN.index(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id sex age\nsub-A F 8\n", "participants.tsv: not readable .*participant_id"),
        ("", "participants.tsv: not readable"),
        ("participant_id sex age\nsub-A F 8 9\n", "line 2 has another number of fields than the header"),
        ("participant_id release_number\nsub-A R5\nsub-A R1\n", "release_number of A is 'R5' in line 2 and 'R1' in l"),
        ("participant_id release_number release_number\nsub-A R5 R1\n", "column release_number stands twice, and its"),
    ],
)
def test_participants_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EegfmError, match=message):
        HBN.index(write_tree(tmp_path, {RESTING: b"", "participants.tsv": text.replace(" ", "\t")}))


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("participant_id p_factor\nsub-NDARAA1 8,5\n", "number_not_understood:p_factor"),
        ("participant_id P_Factor\nsub-NDARAA1 inf\n", "number_not_understood:P_Factor"),
        ("participant_id sex age\nsub-NDARAA1 F 8\nsub-NDARAA1 M 8\n", "rows_disagree:sex"),
    ],
)
def test_values_that_nobody_asked_for_stop_nothing(tmp_path: Path, text: str, flags: str) -> None:
    table = HBN.index(write_tree(tmp_path, {RESTING: b"", "participants.tsv": text.replace(" ", "\t")}))
    assert (table["label_flags"].tolist(), table["p_factor"].isna().all()) == ([flags], True)


def test_events_come_from_the_side_file(tmp_path: Path) -> None:
    details = HBN.details(tree(tmp_path) / RESTING, header(NAMES))
    assert details.events == [
        {"onset_s": 1.5, "duration_s": None, "value": "resting_start", "event_code": "90"},
        {"onset_s": 2.5, "duration_s": None, "value": "instructed_toOpenEyes", "event_code": "20"},
    ]
    assert details.facts == {"task_start_s": 1.5, "task_stop_s": 9.0, "noise_events": "break cnt"}
    assert details.flags == ("other_task_events:1",)


def test_a_run_has_its_own_start(tmp_path: Path) -> None:
    path = RESTING.replace("RestingState", "contrastChangeDetection_run-2")
    rows = [("onset", "duration", "value"), (1, "n/a", "contrastChangeB1_start"), (2, "n/a", "contrastChangeB2_start")]
    root = write_tree(tmp_path, {path.replace("_eeg.bdf", "_events.tsv"): rows})
    assert HBN.details(root / path, header(NAMES)).facts["task_start_s"] == 2.0


def test_boundaries_split_the_challenges_files(tmp_path: Path) -> None:
    rows = [*EVENTS[:3], (5.005, "n/a", "n/a", "boundary", "boundary"), (10.29, "n/a", "n/a", "boundary", "boundary")]
    root = tree(tmp_path, events=rows)
    write_signal(root / RESTING, NAMES, duration_s=11.0)
    done = converted(root)
    # The last mark is the end of the original; what fills up the last second of the file falls away.
    assert (done.facts["segment_starts"], done.facts["segment_stops"]) == ([0, 501], [501, 1029])
    assert done.facts["noise_events"] == "boundary, break cnt"


def test_no_side_files_at_all(tmp_path: Path) -> None:
    root = tree(tmp_path, events=None, channels=None, eeg=None)
    assert HBN.details(root / RESTING, header(NAMES))[:3] == (
        [],
        {"task_start_s": None, "task_stop_s": None, "noise_events": ""},
        ("no_events_tsv",),
    )
    assert HBN.channels(root / RESTING, header(NAMES)).montage.reference == "Cz"
    assert HBN.expected(root / RESTING).rates_hz == (500.0, 100.0)


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("onset duration value\nn/a 1 x\n", "events_without_onset:1"),
        ("onset duration value\nsoon 1 x\n", "events_without_onset:1"),
        ("onset duration value\n1 long x\n", "side_file_not_understood:events.tsv:duration"),
        ("onset duration value\n1 2 x y\n", "side_file_rows_left_out:events.tsv:1"),
        ("time duration value\n1 1 x\n", "side_file_unreadable:events.tsv"),
        ("", "side_file_unreadable:events.tsv"),
    ],
)
def test_events_that_are_not_clear_are_flagged(tmp_path: Path, text: str, flag: str) -> None:
    root = tree(tmp_path, events=text.replace(" ", "\t"))
    assert flag in HBN.details(root / RESTING, header(NAMES)).flags


@pytest.mark.parametrize(
    ("task", "column"),
    [
        ("contrastChangeDetection_run-1", "feedback"),
        ("surroundSupp_run-1", "background"),
        ("symbolSearch", "user_answer"),
        ("seqLearning6target", "target_count"),
    ],
)
def test_columns_that_a_task_should_have(tmp_path: Path, task: str, column: str) -> None:
    path = RESTING.replace("RestingState", task)
    rows = [("onset", "duration", "value", column), (1, "n/a", "9999", "n/a")]
    root = write_tree(tmp_path, {path.replace("_eeg.bdf", "_events.tsv"): rows})
    with_column = set(HBN.details(root / path, header(NAMES)).flags)
    write_tree(root, {path.replace("_eeg.bdf", "_events.tsv"): [row[:-1] for row in rows]})
    assert set(HBN.details(root / path, header(NAMES)).flags) - with_column == {f"events_without:{column}"}


def test_side_files_are_part_of_a_recordings_identity(tmp_path: Path) -> None:
    root = tree(tmp_path, **{RESTING: b""})
    versions = {HBN.index(root)["sidecars"].iloc[0]}
    for name in (f"{STEM}_events.tsv", f"{STEM}_channels.tsv", f"{STEM}_eeg.json", "task-RestingState_eeg.json"):
        write_tree(root, {name: "changed"})
        versions.add(HBN.index(root)["sidecars"].iloc[0])
    assert len(versions) == 5
    assert "sub-A_task-x_eeg.fdt" in HBN.sidecars("sub-A_task-x_eeg.set")


def expected_error(root: Path, rate_hz: float, duration_s: float, n_channels: int = 129) -> str:
    head = header(NAMES[:n_channels], rate_hz=rate_hz, n_samples=round(duration_s * rate_hz))
    try:
        check_expected(head, HBN.expected(root / RESTING), "x.bdf")
    except RecordingError as error:
        return error.code
    return ""


def test_a_signal_as_its_side_file_says(tmp_path: Path) -> None:
    root = tree(tmp_path)
    assert expected_error(root, 100.0, 10.3) == ""
    # The challenge's BDF has whole seconds.
    assert expected_error(root, 100.0, 10.0) == expected_error(root, 100.0, 11.0) == ""
    assert expected_error(root, 100.0, 12.0) == expected_error(root, 100.0, 9.0) == "length_mismatch"
    assert expected_error(root, 500.0, 10.3) == "rate_mismatch"
    # The list of channels counts more than their number.
    assert expected_error(root, 100.0, 10.3, 128) == ""
    assert expected_error(tree(tmp_path / "b", channels=None), 100.0, 10.3, 128) == "channel_mismatch"


def test_release_3_states_no_channel_count(tmp_path: Path) -> None:
    root = tree(tmp_path, eeg=sidecar(EEGChannelCount=None))
    assert expected_error(root, 100.0, 10.3, 128) == ""
    with pytest.raises(RecordingError, match=r"lists 1 EEG channels that the file lacks, e\.g\. Cz"):
        HBN.channels(root / RESTING, header(NAMES[:128]))


def test_rates_that_only_general_side_files_state(tmp_path: Path) -> None:
    general = {"task-RestingState_eeg.json": {"SamplingFrequency": 500}}
    assert HBN.expected(tree(tmp_path, **general) / RESTING).rates_hz == (100.0,)
    assert HBN.expected(tree(tmp_path, eeg=sidecar(SamplingFrequency=None)) / RESTING).rates_hz == (500.0,)


def test_a_rate_that_nobody_states_is_one_of_the_published(tmp_path: Path) -> None:
    root = tree(tmp_path, eeg=sidecar(SamplingFrequency="n/a"))
    assert expected_error(root, 100.0, 10.3) == expected_error(root, 500.0, 10.3) == ""
    assert expected_error(root, 250.0, 10.3) == "rate_mismatch"


@pytest.mark.parametrize(
    ("stated", "reference", "flags"),
    [
        ("Cz", "Cz", ()),
        ("n/a", "Cz", ()),
        (None, "Cz", ()),
        ("common", "unknown", ("other_reference:common",)),
        ("linked ears", "unknown", ("other_reference:linked_ears",)),
    ],
)
def test_references(tmp_path: Path, stated: str | None, reference: str, flags: tuple[str, ...]) -> None:
    root = tree(tmp_path, eeg=sidecar(EEGReference=stated), events=EVENTS[:1] + EVENTS[2:4])
    assert HBN.channels(root / RESTING, header(NAMES)).montage.reference == reference
    assert HBN.details(root / RESTING, header(NAMES)).flags == flags


def test_channels_without_type_and_units_are_eeg_in_microvolts(tmp_path: Path) -> None:
    """All of releases 10 and 11."""
    root = tree(tmp_path, channels=[CHANNELS[0], *((name, "n/a", "n/a") for name in NAMES)], events=None)
    assert HBN.channels(root / RESTING, header(NAMES)).montage.channel_names == NAMES
    flags = ("channel_type_missing", "channel_units_missing", "no_events_tsv")
    assert HBN.details(root / RESTING, header(NAMES)).flags == flags


@pytest.mark.parametrize("suffix", [".bdf", ".set", ".fdt"])
def test_all_formats_give_one_recording(tmp_path: Path, suffix: str) -> None:
    path = RESTING.removesuffix(".bdf") + (".set" if suffix == ".fdt" else suffix)
    root = tree(tmp_path)
    if suffix == ".fdt":
        signal_uv = 20 * np.random.default_rng(1).standard_normal((129, 1030)).astype(np.float32)
        write_eeglab(root / path, signal_uv, NAMES, 100.0, fdt=True)
    else:
        write_signal(root / path, NAMES)
    done = converted(root, path)
    assert done.recording_id == "corpus:sub-NDARAA1_task-RestingState_eeg"
    assert (done.montage.channel_names, done.montage.reference, done.montage.is_digitized) == (NAMES, "Cz", False)
    assert done.facts["flags"] == ["other_task_events:1"]
    assert (done.facts["task_start_s"], done.facts["task_stop_s"]) == (1.5, 9.0)
    assert [(e["onset_s"], e["value"]) for e in done.events] == [(1.5, "resting_start"), (2.5, "instructed_toOpenEyes")]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"eeg": sidecar(RecordingDuration=346.968)}, "length_mismatch"),
        ({"eeg": sidecar(SamplingFrequency=500)}, "rate_mismatch"),
        ({"channels": [*CHANNELS, ("E130", "EEG", "uV")]}, "channel_mismatch"),
    ],
)
def test_side_files_that_contradict_the_signal_reject_it(tmp_path: Path, files: Mapping[str, Any], code: str) -> None:
    root = tree(tmp_path, **files)
    write_signal(root / RESTING, NAMES)
    done = convert_file(HbnCorpus(), root, RESTING, root / ".spool")
    assert isinstance(done, RejectedEntry)
    assert (done.code, done.path) == (code, RESTING)


@pytest.mark.parametrize("file_format", ["bdf", "set"])
def test_simulated_files_get_in_without_a_fault(tmp_path: Path, file_format: str) -> None:
    config = SimulatedHbn(n_subjects=1, resting_s=30, ccd_s=20, movie_s=10, file_format=file_format)
    write_tree(tmp_path, {file.path: file.render() for file in plan(config)})
    table = HBN.index(tmp_path)
    assert table["official_split"].unique().tolist() == ["SIM"]
    assert len(table) == 3
    for path in table["path"]:
        done = converted(tmp_path, path)
        assert done.facts["task_start_s"] > 0
        assert done.events[0]["onset_s"] == done.facts["task_start_s"]
        assert done.facts["flags"] == []
