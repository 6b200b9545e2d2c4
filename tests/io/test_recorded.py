"""A record stands in the file that it is about, and in no other."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow.parquet as pq
import pytest

from checkpoints import header
from eegfm.checkpoint import Checkpoint, read_header
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.io.figure import FigureDataset
from eegfm.io.metrics import MetricsDataset
from eegfm.io.recorded import Recorded
from eegfm.io.table import TableDataset
from eegfm.provenance import Record

TABLE = pd.DataFrame({"name": ["é", "b"], "flags": [["x"], []], "start": [1, 2], "age": [np.nan, 0.1]})
DATA: dict[str, Any] = {
    "table": TABLE,
    "metrics": {"loss": 0.1 + 0.2, "per_person": {"b": 1, "a": [2.0]}},
    "figure": go.Figure(go.Scatter(x=np.arange(3), y=np.array([0.1, np.nan, 0.3])), {"title": {"text": "µV"}}),
    "encoder": Checkpoint({"w": np.ones((2, 3), np.float32), "b": np.zeros((), np.int64)}, header()),
}
OTHER: dict[str, Any] = {
    "table": TABLE.assign(start=[1, 3]),
    "metrics": DATA["metrics"] | {"loss": 0.3},
    "figure": go.Figure(go.Scatter(x=np.arange(3), y=np.array([0.1, np.nan, 0.4])), {"title": {"text": "µV"}}),
    "encoder": Checkpoint({"w": np.full((2, 3), 2, np.float32), "b": np.zeros((), np.int64)}, header()),
}
KINDS = {"table": TableDataset, "metrics": MetricsDataset, "figure": FigureDataset, "encoder": CheckpointDataset}


def entry(kind: str, folder: Path, name: str = "file") -> Any:
    return KINDS[kind](filepath=str(folder / name))


def record(contents: str, **changes: Any) -> Record:
    fields = {
        "contents": contents, "made_by": "hbn.cut_windows", "is_data": True, "made_from": {"hbn.events": "1"},
        "made_with": {}, "parameters": {"params:x": {"a": [1, None], "é": 0.1}}, "code": (("eegfm.x",), "2"),
    }  # fmt: skip
    return Record(**fields | changes)


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_record_comes_back_and_the_data_without_it(kind: str, tmp_path: Path) -> None:
    bare, dataset = entry(kind, tmp_path, "bare"), entry(kind, tmp_path)
    assert (dataset.record(), dataset.identity()) == (None, None)
    said = record(dataset.identity_of(DATA[kind]))
    dataset.keep(said)
    dataset.save(DATA[kind])
    bare.save(DATA[kind])
    assert entry(kind, tmp_path).record() == said
    assert entry(kind, tmp_path).identity() == said.contents
    assert (bare.record(), bare.identity()) == (None, Recorded.UNKNOWN)
    loaded, plain = dataset.load(), bare.load()
    if kind == "encoder":
        assert loaded.header.record == said
        loaded = loaded.with_record(None)
    # What is read is what was saved, so that the next step's own hash of it is the same.
    assert dataset.identity_of(loaded) == dataset.identity_of(plain) == said.contents
    dataset.preview()


def test_contents_alone_decide_an_identity(kind: str, tmp_path: Path) -> None:
    dataset = entry(kind, tmp_path)
    one, other = dataset.identity_of(DATA[kind]), dataset.identity_of(OTHER[kind])
    assert one == entry(kind, tmp_path / "elsewhere").identity_of(DATA[kind]) != other
    if kind == "encoder":
        newer = header(versions={"torch": "9"}, record=record("x"))
        assert dataset.identity_of(Checkpoint(DATA[kind].tensors, newer)) == one
        assert dataset.identity_of(Checkpoint(DATA[kind].tensors, header(seed=4))) != one


def test_a_record_of_something_else_is_not_written(kind: str, tmp_path: Path) -> None:
    dataset = entry(kind, tmp_path)
    dataset.keep(record(dataset.identity_of(OTHER[kind])))
    dataset.save(DATA[kind])
    assert dataset.identity() == Recorded.UNKNOWN


def test_what_is_saved_by_hand_has_none(kind: str, tmp_path: Path) -> None:
    dataset = entry(kind, tmp_path)
    dataset.keep(record(dataset.identity_of(DATA[kind])))
    dataset.save(DATA[kind])
    dataset.save(DATA[kind] if kind != "encoder" else dataset.load())
    assert dataset.record() is None


def test_tables_that_others_edit_lose_it(tmp_path: Path) -> None:
    dataset = entry("table", tmp_path)
    dataset.keep(record(dataset.identity_of(TABLE)))
    dataset.save(TABLE)
    pd.read_parquet(tmp_path / "file").assign(start=7).to_parquet(tmp_path / "file")
    assert dataset.identity() == Recorded.UNKNOWN


def test_a_record_of_another_version_counts_as_none(tmp_path: Path) -> None:
    dataset = entry("metrics", tmp_path)
    dataset.save({"loss": 1.0})
    (tmp_path / "file").write_text(json.dumps({"loss": 1.0, "eegfm": {"digest": "1"}}))
    assert (dataset.record(), dataset.load()) == (None, {"loss": 1.0})


def test_records_are_read_without_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("table", "encoder"):
        dataset = entry(kind, tmp_path, kind)
        dataset.keep(record(dataset.identity_of(DATA[kind])))
        dataset.save(DATA[kind])
    monkeypatch.setattr(pq, "read_table", None)
    monkeypatch.setattr(pd, "read_parquet", None)
    assert entry("table", tmp_path, "table").record()
    assert entry("encoder", tmp_path, "encoder").record() == read_header(tmp_path / "encoder").record
