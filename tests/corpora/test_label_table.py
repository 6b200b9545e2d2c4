"""Labels of EDF folders from a table: persons or files, texts or numbers, in the encodings of spreadsheets."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from bids_tree import write_signal
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.errors import ConfigError, EegfmError
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.signal.config import SignalParams
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows

LABELS = ("C3", "Cz", "C4", "O1")
FILES = ("S1/rest_1.edf", "S1/task_2.edf", "S2/rest_1.edf", "S3/rest_1.edf")
BY_PERSON = "ID,Age,Gender,Group,MMSE,code\nS1,30,F,HC,28,007\ns2,41.5,male,PD,NA,010\nS9,50,F,PD,1,1\n"


def config(**labels: Any) -> EdfFolderCorpus:
    return EdfFolderCorpus.model_validate(
        {"pattern": "{subject}/{task}_{run}.edf", "labels": {"table": "meta.csv", "key": "id", **labels}}
    )


def indexed(root: Path, content: str | bytes, name: str = "meta.csv", **labels: Any) -> pd.DataFrame:
    for path in FILES:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).touch()
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return config(table=name, **labels).build("mine").index(root).set_index("path")


def test_one_row_per_person(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        table = indexed(tmp_path, BY_PERSON)
    wanted = ["age_years", "sex", "Age", "Gender", "Group", "MMSE", "code"]
    assert table.loc["S1/task_2.edf", wanted].tolist() == [30.0, "F", 30.0, "F", "HC", 28.0, "007"]
    assert table.loc["S2/rest_1.edf", ["age_years", "sex", "Group", "code"]].tolist() == [41.5, "M", "PD", "010"]
    assert np.isnan(table.loc["S2/rest_1.edf", "MMSE"])
    assert table["label_flags"].tolist() == ["", "", "", "not_in_meta.csv:2_of_3"]
    assert "mine: meta.csv, column 'id': 2 of 3 rows match a person; 3 of 4 recordings have a row" in caplog.messages
    [line] = [message for message in caplog.messages if "no row there" in message]
    assert "1 of 3 persons have no row there (S3), and no labels; rows that match no folder: S9" in line


def test_one_row_per_file(tmp_path: Path) -> None:
    table = indexed(tmp_path, "file;state\nS1/rest_1.edf;calm\ntask_2;busy\n./S2/rest_1;calm\n", key="file")
    assert table["state"].fillna("").tolist() == ["calm", "busy", "calm", ""]
    assert table["label_flags"].tolist() == ["", "", "", "not_in_meta.csv:3_of_3"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize(("name", "separator"), [("meta.csv", ","), ("meta.CSV", ";"), ("sub/meta.tsv", "\t")])
def test_tables_of_spreadsheets(tmp_path: Path, encoding: str, name: str, separator: str) -> None:
    (tmp_path / "sub").mkdir()
    lines = [["id", "ort", "said"], ["S1", "Z\u00fcrich", "a,b"], ["S2", "Bern", 'say ""go""']]
    text = "\r\n".join(separator.join(f'"{cell}"' for cell in line) for line in lines)
    table = indexed(tmp_path, f"{text}\r\n{separator * 2}\r\n".encode(encoding), name)
    assert table.loc["S1/rest_1.edf", ["ort", "said"]].tolist() == ["Z\u00fcrich", "a,b"]
    assert table.loc["S2/rest_1.edf", ["ort", "said"]].tolist() == ["Bern", 'say "go"']
    flag = "" if encoding == "utf-8-sig" else f"side_file_not_utf8:{Path(name).name}"
    assert table.loc["S1/rest_1.edf", "label_flags"] == flag


def test_columns_with_their_kinds(tmp_path: Path) -> None:
    table = indexed(tmp_path, BY_PERSON, columns={"code": "number", "mmse": "text"})
    assert table.loc["S1/rest_1.edf", ["code", "mmse"]].tolist() == [7.0, "28"]
    assert "Group" not in table


@pytest.mark.parametrize(
    ("content", "labels", "message"),
    [
        (BY_PERSON, {"columns": {"IQ": "text"}}, "has no column IQ; corpus.labels may name Age, Gender, Group, MMSE"),
        (BY_PERSON, {"columns": {"Group": "number"}}, r"Group of S1 is 'HC' \(line 2\); it must be a number or n/a"),
        (BY_PERSON, {"columns": {"path": "text"}}, "corpus.labels.columns names path, which mean something else"),
        (BY_PERSON, {"key": "person"}, r"table of labels \(line 1 must name person once, it is 'ID,Age"),
        ("id,a\n", {}, "has no row; corpus.labels are its columns"),
        ("id,a\nS1,1\nS1,2\n", {}, "a of S1 is '1' in line 2 and '2' in line 3; keep one row"),
        ("id,age\nS1,1\nS1,2\n", {}, "age of S1 is '1' in line 2 and '2' in line 3; keep one row"),
        ("id,a\nS1,1,2\n", {}, "line 2 has another number of fields than the header"),
        ("id,a\n1,1\n", {}, r"meta\.csv, column 'id': none of 1 rows matches \(1\).*if '1' is 'S1', write"),
        (b"id,a\nS1,\xff\x00\n", {}, "it is no text: byte 0x00 in line 2"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_meant(
    tmp_path: Path, content: str | bytes, labels: dict[str, Any], message: str
) -> None:
    with pytest.raises(EegfmError, match=message):
        indexed(tmp_path, content, **labels)


def test_a_table_must_be_there_and_have_a_known_separator(tmp_path: Path) -> None:
    (tmp_path / "S1").mkdir()
    (tmp_path / FILES[0]).touch()
    message = r"none\.csv does not exist; corpus\.labels\.table is a path inside the raw folder"
    with pytest.raises(EegfmError, match=message):
        config(table="none.csv").build("mine").index(tmp_path)
    with pytest.raises(ValidationError, match=r"'meta\.xlsx' ends in neither \.csv nor \.tsv"):
        config(table="meta.xlsx")


def test_columns_that_mean_something_else_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        table = indexed(tmp_path, "id,run,group\nS1,9,HC\n")
    assert table.loc["S1/rest_1.edf", ["run", "group"]].tolist() == ["1", "HC"]
    assert any("columns run are no labels" in message for message in caplog.messages)


def ingested(root: Path, folder: Path, **labels: Any) -> Ingested:
    params = IngestParams(corpus=config(**labels), workers=WorkerParams(n_workers=1))
    raw_files = params.corpus.build("mine").index(root)
    return ingest(raw_files, root, params, SignalParams(min_channels=2), folder, simulated=False)


def test_tasks_use_the_labels_and_a_corrected_table_costs_no_conversion(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "raw"
    for k, path in enumerate(FILES[:3]):
        write_signal(root / path, LABELS, seed=k)
    (root / "meta.csv").write_text("id,age,group,score\nS1,30,1,0.5\nS2,40,0,1.5\n", encoding="utf-8")
    done = ingested(root, tmp_path / "store")
    grid = {"length_s": 2, "stride_s": 2}
    classes = {"patient": ["1"], "control": ["0"]}
    cuts = {
        "group": {"name": "recording_label", "column": "group", "classes": classes, **grid},
        "age": {"name": "age", "length_s": 2},
    }
    windows, _ = cut_windows(done.recordings, done.events, WindowParams.model_validate({"cuts": cuts}))
    of_groups = windows[windows["cut"] == "group"]
    assert of_groups.groupby("label")["recording_id"].nunique().to_dict() == {"control": 1, "patient": 2}
    assert set(windows.loc[windows["cut"] == "age", "target"]) == {30.0, 40.0}
    cuts["group"]["classes"] = {"patient": ["2"], "control": ["0"]}
    with pytest.raises(ConfigError, match=r"classes\.patient: '2' matches none .*'1' 2, '0' 1"):
        cut_windows(done.recordings, done.events, WindowParams.model_validate({"cuts": cuts}))
    (root / "meta.csv").write_text("id,age,group\nS1,31,1\nS2,40,0\n", encoding="utf-8")
    with caplog.at_level(logging.INFO):
        again = ingested(root, tmp_path / "store", columns={"group": "text"})
    assert "mine: 3 files, 0 to convert" in caplog.messages
    found = again.recordings.set_index("path")[["age_years", "group"]]
    assert found.to_numpy().tolist() == [[31.0, "1"], [40.0, "0"], [31.0, "1"]]
