"""Metrics are plain finite numbers in a file that is whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from eegfm.errors import EegfmError
from eegfm.io.metrics import MetricsDataset

METRICS = {
    "pretrained": {"balanced_accuracy": {"pooled": 0.1 + 0.2, "interval_95": [0.0, 1.0]}},
    "n": 3,
    "name": "µ",
}


def dataset(tmp_path: Path) -> MetricsDataset:
    return MetricsDataset(filepath=str(tmp_path / "probe" / "metrics.json"))


def test_round_trip_is_exact(tmp_path: Path) -> None:
    metrics = dataset(tmp_path)
    assert not metrics.exists()
    metrics.save(METRICS)
    assert metrics.exists()
    assert metrics.load() == METRICS
    assert json.loads((tmp_path / "probe" / "metrics.json").read_text()) == METRICS
    assert json.loads(metrics.preview()) == METRICS


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32(1.0), {1, 2}])
def test_what_is_no_plain_number_is_refused_and_the_old_file_stays(tmp_path: Path, value: object) -> None:
    metrics = dataset(tmp_path)
    metrics.save({"loss": 1.0})
    with pytest.raises(DatasetError):
        metrics.save({"loss": 2.0, "bad": value})
    assert metrics.load() == {"loss": 1.0}
    assert [p.name for p in (tmp_path / "probe").iterdir()] == ["metrics.json"]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as info:
        dataset(tmp_path).load()
    assert isinstance(info.value.__cause__, EegfmError)
    assert f"{tmp_path}/probe/metrics.json does not exist" in str(info.value.__cause__)
