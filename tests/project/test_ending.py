"""The end of a run says where its results are."""

import logging
from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from eegfm.io.folder import FolderDataset
from eegfm.io.metrics import MetricsDataset
from eegfm.project.ending import EndHooks


def said(caplog: pytest.LogCaptureFixture, folder: Path, *made: str) -> list[str]:
    """Messages at the end of a run that makes these entries, in this order."""
    entries = {
        "mine.file_outcomes": MetricsDataset(filepath=str(folder / "file_outcomes.parquet")),
        "report": MetricsDataset(filepath=str(folder / "report.html")),
        "probe.metrics": MetricsDataset(filepath=str(folder / "probe/metrics.json")),
        "pretrain.encoder": MetricsDataset(filepath=str(folder / "encoder.safetensors")),
        "pretrain.export": FolderDataset(path=str(folder / "export")),
        "import_weights.report": MemoryDataset(),
    }
    pipeline = Pipeline([Node(lambda: 0, None, name, name=f"make_{k}") for k, name in enumerate(made)])
    with caplog.at_level(logging.INFO):
        EndHooks().after_pipeline_run(pipeline, DataCatalog(entries))
    return caplog.messages


def test_the_report_comes_last(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    assert said(caplog, tmp_path, "report", "probe.metrics", "mine.file_outcomes", "pretrain.encoder") == [
        f"pretrain.encoder: {tmp_path}/encoder.safetensors",
        f"probe.metrics: {tmp_path}/probe/metrics.json",
        f"report: {tmp_path}/report.html",
    ]


def test_paths_below_the_working_folder_are_short(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(caplog, tmp_path / "data", "pretrain.export") == ["pretrain.export: data/export"]


def test_a_run_of_ingestion_ends_with_its_table_of_files(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    assert said(caplog, tmp_path, "mine.file_outcomes") == [f"mine.file_outcomes: {tmp_path}/file_outcomes.parquet"]


def test_entries_without_a_file_are_left_out(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    assert said(caplog, tmp_path, "import_weights.report", "mixture.metrics") == []
