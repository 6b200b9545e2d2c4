"""HBN as BIDS: names, participants, event tables, and how the real sidecars depart from the rule."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eegfm.corpora.config import HbnCorpus
from eegfm.corpora.hbn import Hbn
from eegfm.errors import EegfmError, RecordingError
from eegfm.signal.reader import Annotation, RecordingHeader, Segment

HBN: Hbn = HbnCorpus().build("hbn")
HEADER = RecordingHeader(
    ("E1",),
    ("uV",),
    500.0,
    (500.0,),
    5000,
    (Segment(0, 5000, 0.0),),
    annotations=(Annotation(1.0, 0.0, "of the file"),),
)
RESTING = "sub-NDARAA1/eeg/sub-NDARAA1_task-RestingState_eeg.bdf"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RESTING, ("NDARAA1", "RestingState", "")),
        ("eeg/sub-NDARAA1_task-contrastChangeDetection_run-2_eeg.set", ("NDARAA1", "contrastChangeDetection", "2")),
        ("ds005505/sub-NDARAA1/eeg/sub-NDARAA1_task-ThePresent_eeg.edf", ("NDARAA1", "ThePresent", "")),
        ("sub-NDARAA1/eeg/sub-NDARAA1_task-ThePresent_channels.set", None),
        ("sub-NDARAA1/eeg/NDARAA1_task-ThePresent_eeg.set", None),
        ("sub-NDARAA1/eeg/sub-NDARAA1_task-ThePresent_eeg.fdt", None),
    ],
)
def test_names(path: str, fields: tuple[str, str, str] | None) -> None:
    expected = None if fields is None else dict(zip(("subject", "task", "run"), fields, strict=True))
    assert HBN.describe(path) == expected


def write(root: Path, **files: str) -> Path:
    """A tree of one resting-state recording; tables are written with blanks for tabs."""
    (root / RESTING).parent.mkdir(parents=True, exist_ok=True)
    (root / RESTING).write_bytes(b"")
    places = {
        "participants": root / "participants.tsv",
        "events": root / RESTING.replace("_eeg.bdf", "_events.tsv"),
    }
    for name, text in files.items():
        places[name].write_text(text.replace(" ", "\t"))
    return root


def test_participants_with_gaps(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        participants="participant_id sex age p_factor attention internalizing externalizing\n"
        "sub-NDARAA1 F 11.3386 n/a -0.446 n/a 0.325\nsub-NDARBB2 n/a n/a 1.5 n/a 0 n/a\n",
    )
    table = HBN.labels(root)
    assert table is not None
    assert table["subject"].tolist() == ["NDARAA1", "NDARBB2"]
    assert table["sex"].tolist() == ["F", ""]
    np.testing.assert_array_equal(table["age_years"], [11.3386, np.nan])
    np.testing.assert_array_equal(table["p_factor"], [np.nan, 1.5])
    np.testing.assert_array_equal(table["attention"], [-0.446, np.nan])
    np.testing.assert_array_equal(table["internalizing"], [np.nan, 0.0])
    assert (table.dtypes[["age_years", "p_factor", "externalizing"]] == "float64").all()


def test_index_joins_the_participants(tmp_path: Path) -> None:
    table = HBN.index(write(tmp_path, participants="participant_id sex age\nsub-NDARAA1 M 9.5\nsub-OTHER F 8\n"))
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["subject"], row["sex"], row["age_years"], row["task"]) == (
        "NDARAA1",
        "M",
        9.5,
        "RestingState",
    )
    assert math.isnan(row["p_factor"])
    assert "age_years" not in HBN.index(write(tmp_path / "other")).columns


def test_person_without_a_row_stays_with_missing_labels(tmp_path: Path) -> None:
    table = HBN.index(write(tmp_path, participants="participant_id sex age\nsub-OTHER F 8\n"))
    assert table["subject"].tolist() == ["NDARAA1"]
    assert table["age_years"].isna().all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("participant_id sex age\nsub-A F 8,5\n", "participants.tsv: not readable"),
        ("id sex age\nsub-A F 8\n", "participants.tsv: not readable .*participant_id"),
        ("", "participants.tsv: not readable"),
        ("participant_id sex age\nsub-A F inf\n", "column age holds infinity"),
        ("participant_id sex age\nsub-A F 8 9\n", "line 2 has 4 fields, the header has 3"),
        (
            "participant_id sex age\nsub-A F 8\nsub-A M 9\n",
            "participants.tsv: participant A stands there twice",
        ),
    ],
)
def test_participants_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EegfmError, match=message):
        HBN.index(write(tmp_path, participants=text))


def test_events_come_from_the_sidecar(tmp_path: Path) -> None:
    text = "onset duration sample value feedback\n0.0 n/a 0 start n/a\n20.5 2 2050 instructed_toOpenEyes smiley\n"
    root = write(tmp_path, events=text)
    assert HBN.events(root / RESTING, HEADER) == [
        {"onset_s": 0.0, "duration_s": None, "value": "start", "feedback": None},
        {"onset_s": 20.5, "duration_s": 2.0, "value": "instructed_toOpenEyes", "feedback": "smiley"},
    ]


def test_no_sidecar_means_no_events(tmp_path: Path) -> None:
    assert HBN.events(write(tmp_path) / RESTING, HEADER) == []


@pytest.mark.parametrize(
    "text",
    [
        "onset duration value\nn/a 1 x\n",
        "onset duration value\nsoon 1 x\n",
        "onset duration value\ninf 1 x\n",
        "onset duration value\n1 long x\n",
        "onset duration value\n1 inf x\n",
        "onset duration value\n1 nan x\n",
        "onset duration value\n1 2 x \n",
        "time duration value\n1 1 x\n",
        "",
    ],
)
def test_sidecar_that_cannot_be_read_rejects_the_recording(tmp_path: Path, text: str) -> None:
    root = write(tmp_path, events=text)
    with pytest.raises(RecordingError, match=r"sub-NDARAA1_task-RestingState_events\.tsv") as info:
        HBN.events(root / RESTING, HEADER)
    assert info.value.code == "unreadable_events"


def test_sidecars_are_part_of_a_recordings_identity(tmp_path: Path) -> None:
    before = HBN.index(write(tmp_path, events="onset value\n1 x\n"))["sidecars"].iloc[0]
    assert before.startswith("sub-NDARAA1_task-RestingState_events.tsv:16:")
    after = HBN.index(write(tmp_path, events="onset value\n1 xyz\n"))["sidecars"].iloc[0]
    assert after != before
    assert HBN.sidecars("a_eeg.set") == ("a_events.tsv", "a_eeg.fdt")


@pytest.fixture
def real(shared_data: Path) -> Path:
    root = shared_data / "hbn_meta"
    if not root.is_dir():
        pytest.skip(f"real sidecars are not here: {root} does not exist")
    return root


def real_events(folder: Path, task: str) -> pd.DataFrame:
    [path] = folder.rglob(f"*_task-{task}_events.tsv")
    return pd.DataFrame(HBN.events(path.with_name(path.name.replace("_events.tsv", "_eeg.set")), HEADER))


def n_rows(path: Path) -> int:
    return sum(bool(line.strip()) for line in path.read_text().splitlines()) - 1


def test_all_real_participants_are_read(real: Path) -> None:
    tables = {path.parent.name: HBN.labels(path.parent) for path in sorted(real.glob("*/participants.tsv"))}
    assert len(tables) == 10
    for release, table in tables.items():
        n_lines = n_rows(real / release / "participants.tsv")
        assert len(table) == n_lines
        assert table["age_years"].between(5, 23).all()
        assert set(table["sex"]) == {"F", "M"}
        assert table["p_factor"].isna().sum() < 10
    first = tables["ds005505"].set_index("subject").loc["NDARAC904DMU"]
    assert (first["age_years"], first["p_factor"], first["attention"]) == (11.3386, -0.603, -0.446)
    assert (first["internalizing"], first["externalizing"]) == (1.248, 0.325)


def test_real_sidecars_are_read(real: Path) -> None:
    for path in sorted(real.rglob("*_events.tsv"))[::25]:
        events = HBN.events(path.with_name(path.name.replace("_events.tsv", "_eeg.set")), HEADER)
        assert len(events) == n_rows(path)
        assert all(math.isfinite(e["onset_s"]) and isinstance(e["value"], str) for e in events)


def test_real_quirks(real: Path) -> None:
    quirks = real / "quirks"
    # A sidecar without the column feedback.
    without = real_events(quirks / "ds005516", "contrastChangeDetection_run-1")
    assert "feedback" not in without
    assert "feedback" in real_events(quirks / "ds005507", "contrastChangeDetection_run-1")
    # The path of a file as an event's value: kept as it is, it matches no cue.
    odd = real_events(quirks / "ds005509", "seqLearning6target")
    assert odd["value"].iloc[0].endswith("_events.tsv")
    # Resting states that end after their start.
    for release in ("ds005515", "ds005511/sub-NDARME789TD2"):
        assert not real_events(quirks / release, "RestingState")["value"].str.contains("instructed").any()
