"""Targets of runs as columns, against a plain loop."""

import numpy as np
import pandas as pd
import pytest

from eegfm.errors import ConfigError
from eegfm.io.table import TableDataset
from eegfm.mixture.target_columns import class_names, target_columns
from pair_tables import table


def runs(**columns: list[object]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    return table({name: values[k] for name, values in columns.items()} | {"recording_id": f"r{k}"} for k in range(n))


def test_classes_are_numbered_by_their_sorted_names() -> None:
    windows = runs(label=["open", None, "closed", "open", "a"])
    assert class_names(windows) == ["a", "closed", "open"]
    columns = target_columns(windows)
    assert {name: (values.dtype, values.tolist()) for name, values in columns.items()} == {
        "label": (np.int32, [2, -1, 1, 2, 0])
    }


def test_numbers_and_several_outputs_are_nan_where_they_are_not_known() -> None:
    windows = runs(target=[1.5, np.nan, 3.0], targets=[None, [1.0, 0.0], [np.nan, 1.0]])
    columns = target_columns(windows)
    assert list(columns) == ["target", "targets"]
    assert all(values.dtype == np.float32 for values in columns.values())
    np.testing.assert_array_equal(columns["target"], [1.5, np.nan, 3.0])
    np.testing.assert_array_equal(columns["targets"], [[np.nan, np.nan], [1, 0], [np.nan, 1]])


def test_nothing_known_is_no_column() -> None:
    assert target_columns(runs(label=[None, None])) == {}
    assert target_columns(pd.DataFrame({"recording_id": ["r0"]})) == {}
    assert class_names(pd.DataFrame({"recording_id": ["r0"]})) == []


def test_several_numbers_of_outputs_are_refused() -> None:
    with pytest.raises(ConfigError, match="targets: windows have 2 and 3 numbers each"):
        target_columns(runs(targets=[[1.0, 2.0, 3.0], None, [1.0, 2.0]]))


def test_a_table_from_disk_has_the_same_targets(tmp_path) -> None:
    windows = runs(
        label=["b", None, "a"], target=[np.nan, 2.0, 1.0], targets=[np.float32([1, np.nan]), None, np.float32([0, 1])]
    )
    dataset = TableDataset(filepath=str(tmp_path / "windows.parquet"))
    dataset.save(windows)
    for name, values in target_columns(dataset.load()).items():
        np.testing.assert_array_equal(values, target_columns(windows)[name])
