"""Tables: what goes in comes out, whole or not at all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from eegfm.errors import EegfmError
from eegfm.io.table import TableDataset

TABLE = pd.DataFrame(
    {
        "recording_id": ["tuh:a", "tuh:b"],
        "n_samples": np.array([2**40, 5], dtype=np.int64),
        "segment": np.array([0, 1], dtype=np.int32),
        "segment_starts": [[0, 800], [0]],
        "flags": [["flat:Cz"], []],
        "age_years": [0.0109, np.nan],
        "simulated": [True, False],
    }
).astype({"recording_id": "str"})


def dataset(tmp_path: Path) -> TableDataset:
    return TableDataset(filepath=str(tmp_path / "deep" / "table.parquet"), metadata={"kedro-viz": {"layer": "raw"}})


def test_round_trip(tmp_path: Path) -> None:
    table = dataset(tmp_path)
    assert not table.exists()
    table.save(TABLE)
    assert table.exists()
    loaded = table.load()
    assert loaded.dtypes.astype(str).to_dict() == TABLE.dtypes.astype(str).to_dict()
    assert [list(v) for v in loaded["segment_starts"]] == [[0, 800], [0]]
    assert [list(v) for v in loaded["flags"]] == [["flat:Cz"], []]
    flat = ["recording_id", "n_samples", "segment", "age_years", "simulated"]
    pd.testing.assert_frame_equal(loaded[flat], TABLE[flat])
    assert table.metadata == {"kedro-viz": {"layer": "raw"}}


def test_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    table = dataset(tmp_path)
    table.save(pd.DataFrame([], columns=["path", "code"], dtype="str"))
    assert list(table.load().columns) == ["path", "code"]
    assert table.preview()["data"] == []


def test_preview_is_a_few_rows_of_text(tmp_path: Path) -> None:
    table = dataset(tmp_path)
    table.save(pd.concat([TABLE] * 20, ignore_index=True))
    preview = table.preview()
    assert preview["columns"] == list(TABLE.columns)
    assert len(preview["data"]) == 20
    assert preview["data"][0][:2] == ["tuh:a", "1099511627776"]
    assert len(table.preview(nrows=3)["data"]) == 3


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as info:
        dataset(tmp_path).load()
    assert isinstance(info.value.__cause__, EegfmError)
    assert str(tmp_path / "deep" / "table.parquet") in str(info.value.__cause__)


def test_failed_save_leaves_the_old_table(tmp_path: Path) -> None:
    table = dataset(tmp_path)
    table.save(TABLE)
    with pytest.raises(DatasetError):
        table.save(pd.DataFrame({"mixed": [1, "a", object()]}))
    assert len(table.load()) == 2
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["table.parquet"]
