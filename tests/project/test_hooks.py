"""Checks between the configuration and the first node."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Node, Pipeline

from checkpoints import header
from eegfm.checkpoint import Checkpoint, save_checkpoint
from eegfm.corpora.simulated.config import SimulatedTuh
from eegfm.errors import CheckpointError, ConfigError, EegfmError, LineageError, StoreError
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.io.folder import FolderDataset, WorkspaceDataset
from eegfm.io.metrics import MetricsDataset
from eegfm.io.start_file import StartFileDataset
from eegfm.io.table import TableDataset
from eegfm.jobs.acquire.config import AcquireParams
from eegfm.pipelines import ingest, pretrain, probe, report
from eegfm.project.hooks import ProjectHooks
from eegfm.provenance import Record
from eegfm.training.config import PretrainParams


class MappingLoader(dict[str, Any]):
    """As much of a loader of configuration as the hooks read."""

    runtime_params: ClassVar[dict[str, Any]] = {"data": "data"}


def ingest_catalog(folder: Path, acquire: AcquireParams) -> DataCatalog:
    return DataCatalog(
        {
            "mine.raw_folder": WorkspaceDataset(path=str(folder)),
            "mine.raw": FolderDataset(path=str(folder)),
            "mine.workspace": WorkspaceDataset(path=str(folder / "w")),
            "params:mine.acquire": MemoryDataset(acquire),
        }
    )


def check(pipeline: Pipeline, catalog: DataCatalog) -> None:
    ProjectHooks().before_pipeline_run(pipeline, catalog)


def test_folder_source_must_hold_something(tmp_path: Path) -> None:
    pipeline, folder = ingest.create_pipeline("mine"), tmp_path / "raw"
    catalog = ingest_catalog(folder, AcquireParams())
    with pytest.raises(EegfmError, match=r"mine: raw folder .*/raw does not exist; .*mine\.raw_folder"):
        check(pipeline, catalog)
    folder.mkdir()
    with pytest.raises(EegfmError, match=r"mine: raw folder .*/raw is empty"):
        check(pipeline, catalog)
    (folder / "a.edf").write_bytes(b"")
    check(pipeline, catalog)


def test_simulated_source_makes_its_folder(tmp_path: Path) -> None:
    catalog = ingest_catalog(tmp_path / "none", AcquireParams(source=SimulatedTuh()))
    check(ingest.create_pipeline("mine"), catalog)


def test_pipeline_that_starts_behind_the_raw_files_does_not_ask_for_them(tmp_path: Path) -> None:
    catalog = ingest_catalog(tmp_path / "none", AcquireParams())
    later = ingest.create_pipeline("mine").only_nodes("mine.index_raw_files")
    with pytest.raises(EegfmError, match=r"not there yet: mine\.raw; run first: kedro run"):
        check(later, catalog)


def test_missing_encoder_comes_first_and_says_who_makes_it(tmp_path: Path) -> None:
    catalog = DataCatalog(
        {
            "pretrain.encoder": CheckpointDataset(filepath=str(tmp_path / "encoder.safetensors")),
            "splits": TableDataset(filepath=str(tmp_path / "splits.parquet")),
        }
    )
    with pytest.raises(CheckpointError, match=r"encoder\.safetensors; make it with: kedro run --pipelines=pretrain"):
        check(probe.create_pipeline(["hbn"]), catalog)


def test_missing_tables_are_all_named(tmp_path: Path) -> None:
    names = ("splits", "mixture", "hbn.windows")
    catalog = DataCatalog({n: TableDataset(filepath=str(tmp_path / f"{n}.parquet")) for n in names})
    with pytest.raises(EegfmError, match=r"not there yet: hbn\.windows, mixture, splits; run"):
        check(report.create_pipeline(["hbn"], probes={}), catalog)


def test_what_the_run_itself_makes_is_not_missed(tmp_path: Path) -> None:
    def make() -> int:
        return 1

    def use(x: Any) -> None: ...

    nodes = [Node(make, None, "made", name="make"), Node(use, "made", None, name="use")]
    check(Pipeline(nodes), DataCatalog({"made": TableDataset(filepath=str(tmp_path / "made.parquet"))}))


def test_the_command_that_mends_a_store_is_about_the_same_run() -> None:
    hooks = ProjectHooks()
    hooks._options = " --env=test --params=data=elsewhere"
    error = StoreError("c: damaged; mend it with: kedro run --pipelines=ingest, which reads the whole store")
    wrapped = DatasetError("failed")
    wrapped.__cause__ = error
    hooks.on_pipeline_error(wrapped)
    assert str(error) == (
        "c: damaged; mend it with: kedro run --pipelines=ingest --env=test --params=data=elsewhere, "
        "which reads the whole store"
    )
    other = EegfmError("run: kedro run --pipelines=ingest")
    hooks.on_pipeline_error(other)
    assert str(other) == "run: kedro run --pipelines=ingest"


def test_windows_of_two_lengths_meet_an_encoder_of_one_that_only_its_file_tells(tmp_path: Path) -> None:
    cuts = {"pretrain": {"name": "fixed", "length_s": 4, "stride_s": 4}, "movies": {"name": "hbn_movies"}}
    parameters = {
        "corpora": {"pretrain": ["hbn"], "probe": []}, "phases": ["adapt", "more"],
        "adapt": {"n_steps": 6, "start": "file"}, "more": {"n_steps": 6, "start": "previous"},
        "hbn": {"acquire": {}, "ingest": {"corpus": {"name": "hbn"}}, "window": {"cuts": cuts}},
    }  # fmt: skip
    loader = MappingLoader({"parameters": parameters, "globals": {}})
    hooks = ProjectHooks()
    hooks.after_context_created(SimpleNamespace(env=None, project_path=tmp_path, config_loader=loader))
    described = header(encoder={"name": "femba"})
    save_checkpoint(tmp_path / "femba.safetensors", Checkpoint({"w": np.zeros(2, dtype=np.float32)}, described))
    movies = {"objective": {"name": "contrastive"}, "pairs": {"name": "movie_moment"}}
    catalog = DataCatalog(
        {
            "adapt.start": StartFileDataset(filepath=str(tmp_path / "femba.safetensors"), variable="ENCODER"),
            "adapt.encoder": CheckpointDataset(filepath=str(tmp_path / "adapt.safetensors")),
            "params:adapt": MemoryDataset(PretrainParams(n_steps=6, start="file")),
            "params:more": MemoryDataset(PretrainParams(n_steps=6, start="previous", **movies)),
        }
    )
    file, more = (
        pretrain.create_pipeline(["hbn"], *names) for names in (("adapt", "adapt.start"), ("more", "adapt.encoder"))
    )
    expected = (
        r"^parameter more: encoder femba is tied .* 4 s \(hbn.* 2 s \(hbn.*phases: \[adapt\] trains without more$"
    )
    with pytest.raises(ConfigError, match=expected):
        hooks.before_pipeline_run(file + more, catalog)


def test_an_input_that_another_run_replaces_meanwhile_is_refused(tmp_path: Path) -> None:
    def use(made: pd.DataFrame) -> dict[str, float]:
        return {"x": float(made["x"].iloc[0])}

    dataset = TableDataset(filepath=str(tmp_path / "made.parquet"))
    node = Node(use, "made", "used", name="use")
    catalog = DataCatalog({"made": dataset, "used": MetricsDataset(filepath=str(tmp_path / "used.json"))})

    def save(x: int) -> None:
        table = pd.DataFrame({"x": [x]})
        dataset.keep(Record(
            contents=dataset.identity_of(table), made_by="make", is_data=False, made_from={}, made_with={},
            parameters={}, code=((), ""),
        ))  # fmt: skip
        dataset.save(table)

    save(1)
    hooks = ProjectHooks()
    hooks.before_pipeline_run(Pipeline([node]), catalog)
    for replacement in (None, 1, 2):  # nothing happens, the same is written again, something else is
        hooks.before_dataset_loaded("made", node)
        inputs = {"made": catalog.load("made")}
        if replacement is not None:
            save(replacement)
        if replacement != 2:
            hooks.before_node_run(node, catalog, inputs)
            continue
        with pytest.raises(LineageError, match=r"^made \(.*made\.parquet\) was replaced while use read it"):
            hooks.before_node_run(node, catalog, inputs)
