"""Any EEG-BIDS folder: names, side files and formats, against trees that MNE-BIDS writes and reads."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mne
import mne_bids
import numpy as np
import pandas as pd
import pytest

from bids_tree import SIGNAL, convert_file, header, write_eeglab, write_signal, write_tree
from eegfm.corpora.bids import Bids
from eegfm.corpora.config import BidsCorpus
from eegfm.errors import ConfigError, EegfmError
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.convert import Converted
from eegfm.jobs.ingest.ingest import ingest
from eegfm.signal.header import Annotation
from eegfm.signal.montages.layouts import electrode_table
from eegfm.store.index import RejectedEntry

LABELS = ("Fp1", "Fp2", "C3", "Cz", "C4", "O1", "O2", "X1")
EDF = "sub-01/ses-a/eeg/sub-01_ses-a_task-rest_acq-q_run-1_eeg.edf"
STEM = EDF.removesuffix("_eeg.edf")


def bids(**config: Any) -> Bids:
    built: Bids = BidsCorpus(**config).build("corpus")
    return built


def converted(root: Path, path: str = EDF, **config: Any) -> Converted:
    done = convert_file(BidsCorpus(**config), root, path, root / ".spool")
    assert isinstance(done, Converted), done
    return done


def rejected(root: Path, path: str = EDF, **config: Any) -> RejectedEntry:
    done = convert_file(BidsCorpus(**config), root, path, root / ".spool")
    assert isinstance(done, RejectedEntry)
    return done


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_signal(tmp_path / EDF, LABELS)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (EDF, ("01", "a", "rest", "q", "1")),
        ("sub-x1/eeg/sub-x1_task-go_eeg.vhdr", ("x1", "", "go", "", "")),
        ("sub-x1/eeg/sub-x1_task-go_split-2_eeg.bdf", ("x1", "", "go", "", "")),
        ("sub-02/ses-a/eeg/sub-01_ses-a_task-rest_eeg.edf", None),
        ("sub-01/ses-b/eeg/sub-01_ses-a_task-rest_eeg.edf", None),
        ("sub-01/eeg/sub-01_ses-a_task-rest_eeg.edf", None),
        ("sub-01/ses-a/eeg/sub-01_task-rest_eeg.edf", None),
        ("sub-01/eeg/sub-01_eeg.edf", None),
        ("sub-01/ieeg/sub-01_task-rest_eeg.edf", None),
        ("derivatives/clean/sub-01/eeg/sub-01_task-rest_eeg.edf", None),
        ("sourcedata/sub-01/eeg/sub-01_task-rest_eeg.edf", None),
        ("stimuli/beep.edf", None),
    ],
)
def test_names(path: str, fields: tuple[str, ...] | None) -> None:
    keys = ("subject", "session", "bids_task", "acquisition", "run")
    assert bids().describe(path) == (None if fields is None else dict(zip(keys, fields, strict=True)))


def test_index(root: Path) -> None:
    others = {EDF.replace("run-1", "run-2"): b"x", EDF.replace("_run-1", ""): b"x", f"derivatives/{EDF}": b"x"}
    write_tree(root, {**others, "participants.tsv": [("participant_id", "age", "sex"), ("sub-01", 31, "F")]})
    table = bids(tasks=("rest",)).index(root).set_index("path")
    assert table["recording_id"].is_unique
    assert table.loc[EDF, "recording_id"] == f"corpus:{Path(EDF).stem}"
    assert table.loc[EDF, ["subject", "session", "bids_task", "acquisition", "run", "sex"]].tolist() == [
        "01", "a", "rest", "q", "1", "F",
    ]  # fmt: skip
    assert table.loc[EDF, "age_years"] == 31.0
    assert (table["excluded"] != "").tolist() == [path.startswith("derivatives") for path in table.index]


def test_tasks_that_are_not_asked_for_are_left_out(root: Path) -> None:
    (root / EDF.replace("task-rest", "task-go")).write_bytes(b"")
    found = bids(tasks=("go",)).index(root).set_index("bids_task")["excluded"]
    assert found.to_dict() == {"go": "", "rest": "task rest is not among corpus.tasks=['go']"}
    assert bids().index(root)["excluded"].tolist() == ["", ""]


def test_tasks_that_no_file_is_of_are_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"tasks: 'Rest' matches none of 1 files.*'rest' 1; did you mean 'rest'"):
        bids(tasks=("rest", "Rest")).index(root)


def test_labels_of_participants(root: Path) -> None:
    rows = [("participant_id", "age", "group", "MMSE"), ("sub-01", "89+", "A", 28), ("sub-02", "n/a", "n/a", "n/a")]
    write_tree(root, {"participants.tsv": rows})
    labels = bids(labels={"group": "text", "MMSE": "number"}).labels(root)
    assert labels is not None
    table = labels.rows
    assert list(table.columns) == ["subject", "age_years", "sex", "group", "MMSE"]
    assert table["group"].tolist() == ["A", ""]
    np.testing.assert_array_equal(table["MMSE"], [28.0, np.nan])
    with pytest.raises(
        EegfmError, match=r"participants\.tsv has no column IQ; corpus\.labels may name age, group, MMSE"
    ):
        bids(labels={"IQ": "number"}).labels(root)
    with pytest.raises(EegfmError, match=r"group of 01 is 'A' \(line 2\)"):
        bids(labels={"group": "number"}).labels(root)


def test_labels_need_a_table(root: Path) -> None:
    assert bids().labels(root) is None
    with pytest.raises(EegfmError, match=r"participants\.tsv does not exist; corpus\.labels=\['group'\]"):
        bids(labels={"group": "text"}).labels(root)


@pytest.mark.parametrize("name", ["subject", "bids_task", "path", "sex", "age_years", "acquisition"])
def test_labels_that_would_hide_a_column_are_refused(root: Path, name: str) -> None:
    write_tree(root, {"participants.tsv": [("participant_id", name), ("sub-01", 1)]})
    with pytest.raises(EegfmError, match=f"corpus.labels names {name}"):
        bids(labels={name: "text"}).labels(root)


def ingested(root: Path, **labels: Any) -> pd.DataFrame:
    """The recordings table of the whole folder."""
    params = IngestParams(corpus=BidsCorpus(labels=labels), workers=WorkerParams(n_workers=1))
    raw_files = bids(labels=labels).index(root)
    return ingest(raw_files, root, params, SIGNAL, root / ".store", simulated=False).recordings


def test_no_label_may_have_the_name_of_a_column_of_the_recordings(root: Path) -> None:
    columns = list(ingested(root))
    assert {"flags", "montage", "bad_channels", "duration_s", "person", "simulated"} <= set(columns)
    for name in (*columns, "label_flags"):
        write_tree(root, {"participants.tsv": [("participant_id", name), ("sub-01", "q")]})
        with pytest.raises(EegfmError, match=f"corpus.labels names {name}, "):
            bids(labels={name: "text"}).labels(root)


@pytest.mark.parametrize("value", ["high", "n/a"])
def test_a_text_may_have_the_name_of_a_number_of_another_corpus(root: Path, value: str) -> None:
    write_tree(root, {"participants.tsv": [("participant_id", "attention"), ("sub-01", value)]})
    assert ingested(root, attention="text")["attention"].tolist() == [value.replace("n/a", "")]


def test_side_files_are_part_of_a_recordings_identity(root: Path) -> None:
    versions = {bids().index(root)["sidecars"].iloc[0]}
    electrodes_tsv = "sub-01/ses-a/eeg/sub-01_ses-a_space-CapTrak_electrodes.tsv"
    for name in ("task-rest_eeg.json", "sub-01/sub-01_ses-a_channels.tsv", f"{STEM}_events.tsv", electrodes_tsv):
        write_tree(root, {name: "x"})
        versions.add(bids().index(root)["sidecars"].iloc[0])
    assert len(versions) == 5
    assert "sub-1/eeg/sub-1_task-x_eeg.fdt" in bids().sidecars("sub-1/eeg/sub-1_task-x_eeg.set")
    assert {"a_eeg.eeg", "a_eeg.vmrk"} <= set(bids().sidecars("a_eeg.vhdr"))


def side_files(**changed: Any) -> dict[str, Any]:
    """Side files that fit ``root``'s recording."""
    channels = [("name", "type", "units", "status"), *((label, "EEG", "uV", "good") for label in LABELS[:-1])]
    files: dict[str, Any] = {
        "task-rest_eeg.json": {"SamplingFrequency": 100, "EEGReference": "Cz", "EEGChannelCount": 7},
        f"{STEM}_eeg.json": {"RecordingDuration": 10},
        f"{STEM}_channels.tsv": [*channels, ("X1", "MISC", "uV", "good")],
        f"{STEM}_events.tsv": [("onset", "duration", "trial_type"), (1, 2, "go"), (3, "n/a", "pause")],
    }
    return files | {(f"{STEM}_{key}.tsv" if "/" not in key else key): value for key, value in changed.items()}


def test_a_recording_with_its_side_files(root: Path) -> None:
    done = converted(write_tree(root, side_files()))
    assert done.montage.channel_names == LABELS[:-1]
    assert done.montage.reference == "Cz"
    assert not done.montage.is_digitized
    assert done.facts["flags"] == []
    assert done.facts["labels_left_out"] == ["X1"]
    assert [(e["onset_s"], e["duration_s"], e["value"]) for e in done.events] == [
        (1.0, 2.0, "go"),
        (3.0, None, "pause"),
    ]


def test_boundaries_of_the_table_split_the_signal(root: Path) -> None:
    events = [("onset", "duration", "value"), (4.995, "n/a", "boundary"), (5, "n/a", "go"), (10.5, "n/a", "boundary")]
    done = converted(write_tree(root, side_files(events=events)))
    assert (done.facts["segment_starts"], done.facts["segment_stops"]) == ([0, 500], [500, 1000])
    # The last of them lies behind the end, and an event that follows a boundary stays where it is.
    assert [(e["onset_s"], e["value"]) for e in done.events] == [(4.995, "boundary"), (5.0, "go")]


def test_a_recording_alone(root: Path) -> None:
    done = converted(root)
    assert (done.montage.channel_names, done.montage.reference) == (LABELS[:-1], "unknown")
    assert (done.events, done.facts["flags"], done.facts["labels_not_understood"]) == (
        [],
        ["labels_not_understood"],
        ["X1"],
    )
    assert converted(root, reference="average").montage.reference == "average"


@pytest.mark.parametrize(
    ("stated", "given", "reference", "flags"),
    [
        (None, None, "unknown", ["reference_unknown"]),
        ("right mastoid", None, "unknown", ["reference_unknown"]),
        ("average", None, "average", []),
        ("Cz", "linked_ears", "linked_ears", []),
    ],
)
def test_labels_that_end_in_ref_name_no_reference(
    tmp_path: Path, stated: str | None, given: str | None, reference: str, flags: list[str]
) -> None:
    write_signal(tmp_path / EDF, [f"EEG {name}-REF" for name in LABELS[:-1]])
    write_tree(tmp_path, {"task-rest_eeg.json": {"EEGReference": stated} if stated else {}})
    done = converted(tmp_path, reference=given)
    assert (done.montage.reference, done.facts["flags"]) == (reference, flags)


@pytest.mark.parametrize(
    ("stated", "given", "labels", "flags"),
    [
        ("FCz", None, ("Fp1", "Cz", "O1"), ["reference_not_in_average:FCz"]),
        ("FCz", None, ("Fp1", "FCz", "O1"), []),
        ("FCz", "unknown", ("Fp1", "Cz", "O1"), []),
        ("Cz", None, ("Fp1", "Fz", "O1"), []),
        ("M1", None, ("Fp1", "Fz", "O1"), []),
        ("FCz and AFz", None, ("Fp1", "Fz", "O1"), []),
    ],
)
def test_a_reference_on_the_scalp_that_the_average_lacks_is_flagged(
    tmp_path: Path, stated: str, given: str | None, labels: tuple[str, ...], flags: list[str]
) -> None:
    """The average restores Cz alone."""
    write_signal(tmp_path / EDF, labels)
    write_tree(tmp_path, {"task-rest_eeg.json": {"EEGReference": stated}})
    assert converted(tmp_path, reference=given).facts["flags"] == flags


def test_notes_of_the_file_count_where_there_is_no_table(root: Path) -> None:
    head = header(LABELS)
    noted = type(head)(**{**vars(head), "annotations": (Annotation(1.0, 0.5, "blink"),)})
    assert bids().details(root / EDF, noted).events == [{"onset_s": 1.0, "duration_s": 0.5, "value": "blink"}]
    write_tree(root, side_files())
    assert [e["value"] for e in bids().details(root / EDF, noted).events] == ["go", "pause"]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({f"{STEM}_eeg.json": {"SamplingFrequency": 128}}, "rate_mismatch"),
        ({f"{STEM}_eeg.json": {"RecordingDuration": 11.5}}, "length_mismatch"),
        ({f"{STEM}_channels.tsv": [("name", "type"), ("Pz", "EEG")]}, "channel_mismatch"),
        ({f"{STEM}_channels.tsv": [("name", "type"), *((label, "EMG") for label in LABELS)]}, "no_eeg"),
    ],
)
def test_side_files_that_contradict_the_signal_reject_it(root: Path, files: Mapping[str, Any], code: str) -> None:
    entry = rejected(write_tree(root, {**side_files(), **files}))
    assert entry.code == code, entry
    assert entry.remedy


def test_bad_channels_are_flagged(root: Path) -> None:
    rows = [("name", "type", "units", "status"), ("Fp1", "EEG", "uV", "bad"), ("X1", "EEG", "uV", "bad")]
    done = converted(write_tree(root, side_files(channels=rows)))
    assert done.facts["flags"] == [
        *("channel_count_differs:7", "channels_tsv_differs", "labels_not_understood", "marked_bad:Fp1")
    ]


CAPTRAK = {"EEGCoordinateSystem": "CapTrak", "EEGCoordinateUnits": "m"}


def electrodes(**changed: tuple[float, float, float]) -> list[tuple[object, ...]]:
    """A head 5 % smaller than the template, with X1 on it."""
    points = {name: np.array(electrode_table("1005")[name].position_m) * 0.95 for name in LABELS[:-1]}
    points["X1"] = np.array([0.02, 0.02, 0.13])
    rows = [(name, *map(float, changed.get(name, xyz))) for name, xyz in points.items()]
    return [("name", "x", "y", "z"), *rows]


def digitized(root: Path, **files: Any) -> Path:
    electrode_files = {
        "sub-01/ses-a/eeg/sub-01_ses-a_space-CapTrak_electrodes.tsv": electrodes(),
        "sub-01/ses-a/eeg/sub-01_ses-a_space-CapTrak_coordsystem.json": CAPTRAK,
    }
    return write_tree(root, {**electrode_files, **files})


def test_positions_of_the_template_are_filled_up(root: Path) -> None:
    plain = converted(root).montage
    done = converted(digitized(root))
    assert done.montage.channel_names == LABELS
    assert done.montage.positions_m[:-1] == plain.positions_m
    assert done.montage.positions_m[-1] == (0.02, 0.02, 0.13)
    assert done.montage.name != plain.name
    assert (done.facts["flags"], done.facts["labels_not_understood"]) == ([], [])


def test_names_that_the_template_knows_need_no_positions(root: Path) -> None:
    write_tree(digitized(root), side_files())  # X1 is MISC
    assert not converted(root).montage.is_digitized
    measured = converted(root, positions="electrodes_tsv").montage
    np.testing.assert_allclose(
        measured.positions_m, [np.array(electrode_table("1005")[n].position_m) * 0.95 for n in LABELS[:-1]], atol=1e-5
    )


def test_every_measured_head_has_a_montage_of_its_own(root: Path) -> None:
    first = converted(digitized(root), positions="electrodes_tsv")
    table = "sub-01/ses-a/eeg/sub-01_ses-a_space-CapTrak_electrodes.tsv"
    second = converted(write_tree(root, {table: electrodes(Cz=(0.0, 0.02, 0.13))}), positions="electrodes_tsv")
    assert first.montage.channel_names == second.montage.channel_names
    assert first.montage.name != second.montage.name
    assert first.facts["flags"] == second.facts["flags"] == []


def test_electrodes_without_a_measured_position_are_flagged(root: Path) -> None:
    rows = [row for row in electrodes() if row[0] != "C3"]
    done = converted(digitized(root, **{f"{STEM}_electrodes.tsv": rows, f"{STEM}_coordsystem.json": CAPTRAK}),
                     positions="electrodes_tsv")  # fmt: skip
    assert done.facts["flags"] == ["template_position:C3"]


def test_positions_that_cannot_be_used_fall_back_on_the_template(root: Path) -> None:
    assert converted(root, positions="electrodes_tsv").facts["flags"] == ["labels_not_understood", "no_electrodes_tsv"]
    digitized(root, **{"sub-01/ses-a/eeg/sub-01_ses-a_space-CapTrak_coordsystem.json": {"EEGCoordinateSystem": "CTF"}})
    for source in ("template", "electrodes_tsv"):
        done = converted(root, positions=source)
        assert done.facts["flags"] == ["labels_not_understood", "positions_unusable:coordinate_system"]
        assert done.montage == converted(root, positions="template").montage
        assert not done.montage.is_digitized


def test_a_cap_that_no_template_knows(tmp_path: Path) -> None:
    """BioSemi's A1 is not the left ear: names without a template live from their measured positions alone."""
    labels = ("A1", "A2", "A3", "B1", "B2")
    path = "sub-01/eeg/sub-01_task-rest_eeg.bdf"
    write_signal(tmp_path / path, labels)
    assert rejected(tmp_path, path).code == "no_eeg"
    rows = [(name, 0.01 * k, 0.02, 0.12) for k, name in enumerate(labels)]
    write_tree(
        tmp_path,
        {
            "sub-01/eeg/sub-01_electrodes.tsv": [("name", "x", "y", "z"), *rows],
            "sub-01/eeg/sub-01_coordsystem.json": CAPTRAK,
        },
    )
    montage = converted(tmp_path, path).montage
    assert (montage.channel_names, montage.is_scalp) == (labels, (True,) * 5)
    assert montage.positions_m[4] == (0.04, 0.02, 0.12)


@pytest.mark.parametrize("stated", ["mm", "cm"])
def test_positions_in_other_units_would_have_been_the_way_in(tmp_path: Path, stated: str) -> None:
    """Metres that are called millimetres: the row says so, and the option that it names lets the file in."""
    labels = ("A1", "A2", "A3", "B1", "B2")
    path = "sub-01/eeg/sub-01_task-rest_eeg.bdf"
    write_signal(tmp_path / path, labels)
    rows = [(name, 0.01 * k, 0.02, 0.12) for k, name in enumerate(labels)]
    files = {"electrodes.tsv": [("name", "x", "y", "z"), *rows]}
    files["coordsystem.json"] = {**CAPTRAK, "EEGCoordinateUnits": stated}
    write_tree(tmp_path, {f"sub-01/eeg/sub-01_{name}": content for name, content in files.items()})
    entry = rejected(tmp_path, path)
    assert entry.code == "no_eeg"
    assert "positions that lie on a head in m, and not in the units that are stated" in entry.remedy
    assert "set corpus.position_units: m" in entry.remedy
    done = converted(tmp_path, path, position_units="m")
    assert done.montage.positions_m[4] == (0.04, 0.02, 0.12)
    assert done.facts["flags"] == []


def test_recordings_with_positions_in_other_units_are_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    digitized(
        root, **{"sub-01/ses-a/eeg/sub-01_ses-a_space-CapTrak_coordsystem.json": CAPTRAK | {"EEGCoordinateUnits": "cm"}}
    )
    with caplog.at_level(logging.WARNING):
        recordings = ingested(root)
    assert "positions_fit_in:m" in recordings["flags"].iloc[0]
    advice = "corpus: 1 recordings: electrodes.tsv has positions that lie on a head in m, and not in the units that are"
    assert any(line.startswith(advice) and "set corpus.position_units: m" in line for line in caplog.messages)


LOOSE = {
    "count above": ({f"{STEM}_eeg.json": {"EEGChannelCount": 9}}, ["channel_count_differs:9"]),
    "count below": ({f"{STEM}_eeg.json": {"EEGChannelCount": 3}}, ["channel_count_differs:3"]),
    "json": ({f"{STEM}_eeg.json": "{"}, ["side_file_unreadable:eeg.json"]),
    "json in utf-16": (
        {f"{STEM}_eeg.json": '{"RecordingDuration": 10}'.encode("utf-16")},
        ["side_file_not_utf8:eeg.json"],
    ),
    "number": (
        {f"{STEM}_eeg.json": {"RecordingDuration": "ten"}},
        ["side_file_not_understood:eeg.json:RecordingDuration"],
    ),
    "no names": (
        {f"{STEM}_channels.tsv": "type\nEEG\n"},
        ["labels_not_understood", "side_file_unreadable:channels.tsv"],
    ),
    "no onsets": ({f"{STEM}_events.tsv": "time\tvalue\n1\tgo\n"}, ["side_file_unreadable:events.tsv"]),
    "one onset": ({f"{STEM}_events.tsv": "onset\tvalue\nn/a\tgo\n1\tgo\n"}, ["events_without_onset:1"]),
}


@pytest.mark.parametrize("name", LOOSE)
def test_loose_side_files_are_flagged(root: Path, name: str) -> None:
    files, flags = LOOSE[name]
    done = converted(write_tree(root, {**side_files(), **files}))
    assert done.facts["flags"] == flags
    assert done.montage.channel_names == LABELS[:-1]


@pytest.mark.parametrize(
    "encoding", ["latin-1", "windows-1252", "utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig"]
)
def test_tables_in_other_encodings(root: Path, encoding: str) -> None:
    channels = [("name", "type", "units", "status"), *((n, "EEG", "\u00b5V", "good") for n in LABELS[1:-1])]
    channels += [("Fp1", "EEG", "\u00b5V", "bad"), ("X1", "MISC", "\u00b5V", "good")]
    events = [("onset", "duration", "trial_type"), (1, 2, "gr\u00fcn"), (3, "n/a", "pause")]
    files = {f"{STEM}_channels.tsv": channels, f"{STEM}_events.tsv": events}
    text = {name: "".join("\t".join(map(str, row)) + "\n" for row in rows) for name, rows in files.items()}
    done = converted(write_tree(root, {**side_files(), **{n: t.encode(encoding) for n, t in text.items()}}))
    assert [(e["onset_s"], e["value"]) for e in done.events] == [(1.0, "gr\u00fcn"), (3.0, "pause")]
    assert done.facts["labels_left_out"] == ["X1"]
    kinds = () if encoding.startswith("utf-8") else ("channels.tsv", "events.tsv")
    assert done.facts["flags"] == ["marked_bad:Fp1", *(f"side_file_not_utf8:{kind}" for kind in kinds)]


def test_a_table_that_cannot_be_read_leaves_the_notes_of_the_file(root: Path) -> None:
    head = header(LABELS)
    noted = type(head)(**{**vars(head), "annotations": (Annotation(1.0, 0.5, "blink"),)})
    write_tree(root, side_files(events="time\n1\n"))
    details = bids().details(root / EDF, noted)
    assert [event["value"] for event in details.events] == ["blink"]
    assert "side_file_unreadable:events.tsv" in details.flags


def test_the_reference_may_be_listed_and_not_recorded(root: Path) -> None:
    channels = [("name", "type"), *((name, "EEG") for name in (*LABELS[:-1], "FCz")), ("X1", "MISC")]
    files = {**side_files(channels=channels), f"{STEM}_eeg.json": {"EEGReference": "FCz"}}
    done = converted(write_tree(root, files))
    assert "channels_tsv_differs" in done.facts["flags"]
    assert done.montage.channel_names == LABELS[:-1]


def test_a_net_by_its_layout(tmp_path: Path) -> None:
    path = "sub-01/eeg/sub-01_task-rest_eeg.edf"
    write_signal(tmp_path / path, ("E1", "E2", "E129"))
    assert converted(tmp_path, path, layout="gsn129").montage.channel_names == ("E1", "E2", "Cz")


def test_eeglab_files_keep_their_samples_beside_them(tmp_path: Path) -> None:
    path = "sub-01/eeg/sub-01_task-rest_eeg.set"
    signal_uv = 20 * np.random.default_rng(0).standard_normal((3, 1000)).astype(np.float32)
    (tmp_path / path).parent.mkdir(parents=True)
    write_eeglab(tmp_path / path, signal_uv, ("C3", "Cz", "C4"), 100.0, fdt=True)
    assert converted(tmp_path, path).facts["n_channels"] == 3
    before = bids().index(tmp_path)["sidecars"].iloc[0]
    assert before.startswith("sub-01_task-rest_eeg.fdt:12000:")


def _raw() -> mne.io.RawArray:
    names = ["Fp1", "C3", "Cz", "O2", "EOG1"]
    time_s = np.arange(2000) / 200
    volts = np.stack([40e-6 * np.sin(2 * np.pi * hz * time_s) for hz in (6, 8, 10, 12, 3)])
    volts += 1e-7 * np.random.default_rng(0).standard_normal(volts.shape)
    raw = mne.io.RawArray(volts, mne.create_info(names, 200.0, ["eeg"] * 4 + ["eog"]), verbose="error")
    table = electrode_table("1005")
    points = {name: np.array(table[name].position_m) * 0.97 + (0.001, 0.002, 0.0) for name in names[:4]}
    raw.set_montage(mne.channels.make_dig_montage(points, (0, 0.1, 0), (-0.08, 0, 0), (0.08, 0, 0), coord_frame="head"))
    raw.info["bads"] = ["C3"]
    raw.info["line_freq"] = 50
    raw.set_annotations(mne.Annotations([1.0, 4.5], [0.0, 2.0], ["go", "stop"]))
    return raw


@pytest.mark.parametrize("kind", ["EDF", "BrainVision"])
@pytest.mark.filterwarnings("ignore")  # of MNE-BIDS, on files of its own
def test_trees_of_mne_bids(tmp_path: Path, kind: str) -> None:
    """Written by MNE-BIDS, read by both: the same channels, microvolts, positions, bad channels and events."""
    where = mne_bids.BIDSPath(subject="01", session="a", task="go", run="2", datatype="eeg", root=tmp_path)
    mne_bids.write_raw_bids(_raw(), where, format=kind, allow_preload=True, verbose="error")
    [path] = bids().index(tmp_path).query("excluded == ''")["path"]
    done = converted(tmp_path, path, positions="electrodes_tsv")
    theirs = mne_bids.read_raw_bids(where, verbose="error")
    assert set(done.montage.channel_names) == {"Fp1", "C3", "Cz", "O2"}
    assert "EOG1" in done.facts["labels_left_out"]
    assert done.facts["flags"] == ["marked_bad:C3"]
    assert [(e["onset_s"], e["duration_s"], e["value"]) for e in done.events][:2] == [
        (1.0, 0.0, "go"),
        (4.5, 2.0, "stop"),
    ]
    points = theirs.get_montage().get_positions()["ch_pos"]
    for name, xyz in zip(done.montage.channel_names, done.montage.positions_m, strict=True):
        np.testing.assert_allclose(xyz, points[name], atol=2e-4)  # both write and round landmarks
    samples = np.fromfile(done.samples_path, dtype="<i2").reshape(-1, 4) * done.scales_uv
    for k, name in enumerate(done.montage.channel_names):
        volts = theirs.get_data(picks=name)[0]
        np.testing.assert_allclose(samples[200:-200, k], 1e6 * volts[400:-400:2], atol=1.5)
