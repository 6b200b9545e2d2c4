"""Labels of persons and raw files: who is found, who is not, and what is said of it."""

import logging
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_tree import Table, write_signal, write_tree
from eegfm.corpora.config import BidsCorpus, CorpusConfig, HbnCorpus
from eegfm.corpora.label_join import Labels, join_labels
from eegfm.errors import ConfigError, EegfmError, SplitError
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.recording import normalized_subject
from eegfm.signal.config import SignalParams
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows

PEOPLE = [("participant_id", "age", "sex", "group"), *((f"sub-{k}", 20 + k, "F", "HC") for k in (1, 2, 3))]
AGE = {"name": "age", "length_s": 4}
SEX = {"name": "sex", "length_s": 4}
LABELS = ("C3", "Cz", "C4", "O1")


def tree(root: Path, subjects: tuple[str, ...], people: Table) -> Path:
    for subject in subjects:
        write_signal(root / f"sub-{subject}/eeg/sub-{subject}_task-x_eeg.edf", LABELS)
    return write_tree(root, {"participants.tsv": people})


def ingested(root: Path, folder: Path, config: CorpusConfig | None = None) -> Ingested:
    params = IngestParams(corpus=config or BidsCorpus(labels={"group": "text"}), workers=WorkerParams(n_workers=1))
    signal = SignalParams(min_channels=2)
    return ingest(params.corpus.build("mine").index(root), root, params, signal, folder, simulated=False)


def cut(done: Ingested, **cuts: Any) -> Any:
    return cut_windows(done.recordings, done.events, WindowParams.model_validate({"cuts": cuts}))


def test_a_table_that_joins_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """``sub-1`` may be ``sub-001``, and may be somebody else: nothing is guessed, and everything is said."""
    root = tree(tmp_path / "raw", ("001", "002", "003"), PEOPLE)
    with caplog.at_level(logging.WARNING):
        done = ingested(root, tmp_path / "store")
    assert done.recordings["age_years"].isna().all()
    assert [list(flags) for flags in done.recordings["flags"]] == [["not_in_participants.tsv:0_of_3"]] * 3
    assert done.file_outcomes["outcome"].tolist() == ["flagged"] * 3
    [line] = [message for message in caplog.messages if "participants.tsv" in message and "match" in message]
    assert line.startswith("mine: 0 of 3 rows of participants.tsv match a folder; 3 of 3 persons have no row there (")
    assert "001, 002, 003" in line
    assert "rows that match no folder: 1, 2, 3" in line
    for name, task in {"age": AGE, "sex": SEX}.items():
        with pytest.raises(
            SplitError,
            match=rf"cut '{name}' gives no window of 3 recordings .*3 recordings have no row in participants\.tsv "
            r"\(0 of 3 rows match a folder\): give persons the same ids",
        ):
            cut(done, **{name: task})
    group = {
        "name": "recording_label",
        "column": "group",
        "classes": {"hc": ["HC"], "pd": ["PD"]},
        "length_s": 2,
        "stride_s": 2,
    }
    with pytest.raises(ConfigError, match=r"classes\.hc: 'HC' matches none .*\(0 of 3 rows match a folder\)"):
        cut(done, group=group)


def test_a_table_that_joins_some(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tree(tmp_path / "raw", ("1", "2", "003"), PEOPLE)
    with caplog.at_level(logging.WARNING):
        done = ingested(root, tmp_path / "store").recordings.set_index("subject")
    assert done["group"].fillna("").to_dict() == {"1": "HC", "2": "HC", "003": ""}
    assert done["flags"].map(list).to_dict() == {"1": [], "2": [], "003": ["not_in_participants.tsv:2_of_3"]}
    assert any("mine: 2 of 3 rows of participants.tsv match a folder; 1 of 3 persons" in m for m in caplog.messages)


def test_more_rows_than_folders_are_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A part of a data set comes with the table of the whole."""
    root = tree(tmp_path / "raw", ("1", "2"), PEOPLE)
    with caplog.at_level(logging.WARNING):
        done = ingested(root, tmp_path / "store")
    assert done.recordings["age_years"].tolist() == [21.0, 22.0]
    assert done.file_outcomes["outcome"].tolist() == ["in", "in"]
    assert not caplog.messages


def test_a_corrected_table_costs_no_conversion(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tree(tmp_path / "raw", ("001", "002", "003"), PEOPLE)
    ingested(root, tmp_path / "store")
    write_tree(
        root, {"participants.tsv": [PEOPLE[0], *((f"sub-00{k}", *row[1:]) for k, row in enumerate(PEOPLE[1:], 1))]}
    )
    with caplog.at_level(logging.INFO):
        done = ingested(root, tmp_path / "store")
    assert "mine: 3 files, 0 to convert" in caplog.messages
    assert [list(flags) for flags in done.recordings["flags"]] == [[], [], []]
    assert done.recordings["age_years"].tolist() == [21.0, 22.0, 23.0]
    assert len(cut(done, age=AGE)[0]) == 3


@pytest.mark.parametrize("written", ["sub-{}", "{}", "SUB-{}", "sub- {}", " sub-{} "])
@pytest.mark.parametrize(("row", "folder"), [("a1", "a1"), ("A1", "a1"), ("a1", "A1")])
def test_spellings_of_one_id(tmp_path: Path, written: str, row: str, folder: str) -> None:
    """As everywhere else in the project, where such ids are one person."""
    write_tree(tmp_path, {f"sub-{folder}/eeg/sub-{folder}_task-x_eeg.edf": b""})
    write_tree(tmp_path, {"participants.tsv": [("participant_id", "age"), (written.format(row), 30)]})
    table = BidsCorpus().build("mine").index(tmp_path)
    assert (table["age_years"].tolist(), table["label_flags"].tolist()) == ([30.0], [""])


@pytest.mark.parametrize(("row", "folder"), [("1", "01"), ("01", "1"), ("S1", "1"), ("A-1", "A1")])
def test_ids_that_may_be_two_persons(tmp_path: Path, row: str, folder: str) -> None:
    write_tree(tmp_path, {f"sub-{folder}/eeg/sub-{folder}_task-x_eeg.edf": b""})
    write_tree(tmp_path, {"participants.tsv": [("participant_id", "age"), (f"sub-{row}", 30)]})
    table = BidsCorpus().build("mine").index(tmp_path)
    assert table["age_years"].isna().all()
    assert table["label_flags"].tolist() == ["not_in_participants.tsv:0_of_1"]


def test_two_rows_that_are_spellings_of_one_id(tmp_path: Path) -> None:
    """The row of the folder's own spelling counts; where there is none, neither does."""
    for folder in ("a1", "A1", "B1"):
        write_tree(tmp_path, {f"sub-{folder}/eeg/sub-{folder}_task-x_eeg.edf": b""})
    people = [("participant_id", "age"), ("sub-a1", 30), ("sub-A1", 40), ("sub-b1", 50), ("b1 ", 60)]
    table = BidsCorpus().build("mine").index(write_tree(tmp_path, {"participants.tsv": people})).set_index("subject")
    assert (math.isnan(table.loc["B1", "age_years"]), table.loc["B1", "label_flags"]) == (True, "rows_disagree:age")
    with pytest.raises(EegfmError, match=r"age of b1 is '50' in line 4 and '60' in line 5; keep one row"):
        BidsCorpus(labels={"age": "number"}).build("mine").index(tmp_path)
    write_tree(tmp_path, {"participants.tsv": [*people[:-1], ("SUB-b1", 60)]})
    table = BidsCorpus().build("mine").index(tmp_path).set_index("subject")
    np.testing.assert_array_equal(table.loc[["a1", "A1", "B1"], "age_years"], [30.0, 40.0, np.nan])
    assert table.loc["B1", "label_flags"] == "not_in_participants.tsv:2_of_4"


def test_persons_that_are_left_out_need_no_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for subject, task in (("1", "x"), ("9", "y")):
        write_tree(tmp_path, {f"sub-{subject}/eeg/sub-{subject}_task-{task}_eeg.edf": b""})
    write_tree(tmp_path, {"participants.tsv": PEOPLE, "derivatives/sub-8_task-x_eeg.edf": b""})
    with caplog.at_level(logging.WARNING):
        table = BidsCorpus(tasks=("x",)).build("mine").index(tmp_path)
    assert (table["excluded"] != "").tolist() == [True, False, True]
    assert table["label_flags"].tolist() == ["", "", ""]
    assert not caplog.messages


def test_flags_of_the_table_stand_beside_those_of_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people = [("participant_id", "Age", "Gender", "Group"), ("sub-1", "18-38", "2", "A"), ("sub-2", 30, "F", "B")]
    root = tree(tmp_path / "raw", ("1", "2"), people)
    write_tree(
        root, {"sub-1/eeg/sub-1_task-x_channels.tsv": [("name", "status"), *((name, "bad") for name in LABELS[:2])]}
    )
    done = ingested(root, tmp_path / "store").recordings
    flags = {"age_not_understood", "sex_not_understood", *(f"marked_bad:{name}" for name in LABELS[:2])}
    assert flags <= set(done["flags"][0])
    assert list(done["flags"][1]) == []
    assert done[["age_years", "sex", "group"]].to_numpy().tolist()[1] == [30.0, "F", "B"]
    events = pd.DataFrame(columns=["recording_id", "onset_s", "value"])
    with pytest.raises(
        SplitError,
        match=r"are flagged age_not_understood \(e\.g\. age of 1 is '18-38' in line 2 of participants\.tsv\)",
    ):
        cut_windows(done[:1], events, _only(AGE))
    with caplog.at_level(logging.WARNING):
        windows, counts = cut_windows(done, events, _only(AGE))
    assert (windows["recording_id"].nunique(), counts["t"]["n_recordings_without_label"]) == (1, 1)
    assert any(
        "leaves out 1 recordings without a label; 1 rec" in line and "'18-38'" in line for line in caplog.messages
    )


def _only(task: dict[str, Any]) -> WindowParams:
    return WindowParams.model_validate({"cuts": {"t": task}})


def test_persons_of_hbn_that_no_release_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    columns = ("participant_id", "Release_Number", "Sex", "AGE", "P_Factor")
    for release, name in (("R1", "NDARAA1"), ("R2", "NDARBB2")):
        write_tree(tmp_path, {f"{release}/participants.tsv": [columns, (f"sub-{name}", release, "F", 9.5, 0.25)]})
    for name in ("R1/sub-NDARAA1/eeg/sub-NDARAA1", "R2/sub-NDARCC3/eeg/sub-NDARCC3"):
        write_tree(tmp_path, {f"{name}_task-RestingState_eeg.set": b""})
    with caplog.at_level(logging.WARNING):
        table = HbnCorpus().build("hbn").index(tmp_path).set_index("subject")
    assert table["label_flags"].to_dict() == {"NDARAA1": "", "NDARCC3": "not_in_participants.tsv:1_of_2"}
    assert table.loc["NDARAA1", ["official_split", "sex", "age_years", "p_factor"]].tolist() == ["R1", "F", 9.5, 0.25]
    assert table.loc["NDARCC3", "official_split"] == ""
    assert any("1 of 2 rows of participants.tsv match a folder; 1 of 2 persons" in m for m in caplog.messages)


IDS = st.text("aAbB01", min_size=1, max_size=2).flatmap(
    lambda name: st.sampled_from([name, f"sub-{name}", f"SUB-{name}"])
)


@settings(max_examples=60, deadline=None)
@given(st.lists(IDS, min_size=1, max_size=5), st.lists(IDS, min_size=1, max_size=5, unique=True))
def test_joins_equal_a_plain_loop(subjects: list[str], rows: list[str]) -> None:
    files = pd.DataFrame({"subject": subjects, "excluded": "", "label_flags": ""}, dtype="str")
    labels = pd.DataFrame({"subject": rows}, dtype="str").assign(age_years=np.arange(len(rows), dtype=float))
    joined = join_labels(files, Labels(labels, "t.tsv"), "c")
    expected = []
    for subject in subjects:
        spelt = [row for row in rows if normalized_subject(row) == normalized_subject(subject)]
        found = [subject] if subject in rows else spelt if len(spelt) == 1 else []
        expected.append(float(rows.index(found[0])) if found else math.nan)
    np.testing.assert_array_equal(joined["age_years"], expected)
    assert joined["subject"].tolist() == subjects
    n_matched = len({age for age in expected if not np.isnan(age)})
    flag = f"not_in_t.tsv:{n_matched}_of_{len(rows)}"
    assert joined["label_flags"].tolist() == [flag if np.isnan(age) else "" for age in expected]


def test_lists_of_checksums_that_name_no_recording_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A list whose paths count from another folder checks nothing."""
    write_tree(tmp_path, {"sub-1/eeg/sub-1_task-x_eeg.edf": b"x"})
    for prefix, n_lines in (("files/", 1), ("", 0)):
        write_tree(tmp_path, {"SHA256SUMS.txt": f"{'0' * 64} {prefix}sub-1/eeg/sub-1_task-x_eeg.edf\n"})
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            BidsCorpus().build("mine").index(tmp_path)
        found = [message for message in caplog.messages if re.search("no recording is among them", message)]
        assert len(found) == n_lines
