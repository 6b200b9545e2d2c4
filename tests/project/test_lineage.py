"""Checks before a step, on files of a few bytes, and the command that a message names."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset, SharedMemoryDataCatalog
from kedro.pipeline import Node, Pipeline

from checkpoints import header, imported_header
from eegfm.checkpoint import Checkpoint
from eegfm.errors import CheckpointError, EegfmError, LineageError
from eegfm.evaluation.config import ProbeParams
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.io.metrics import MetricsDataset
from eegfm.io.table import TableDataset
from eegfm.project.hooks import ProjectHooks
from eegfm.project.lineage import Lineage
from eegfm.splits.config import SplitParams

MENU = {"encoder": {"name": "patch_transformer"}, "adapter": {"name": "none"}}


def table(value: int) -> pd.DataFrame:
    return pd.DataFrame({"value": [value]})


def ingest(source: int) -> dict[str, Any]:
    return {"recordings": table(source), "events": table(-source)}


def cut(recordings: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    return table(int(recordings["value"].iloc[0]) // 10)  # several sources give one and the same


def split(recordings: pd.DataFrame, params: SplitParams) -> pd.DataFrame:
    return table(len(params.salt))


def train(windows: pd.DataFrame, splits: pd.DataFrame) -> dict[str, Any]:
    weights = np.full(3, windows["value"].iloc[0] + 10.0 * splits["value"].iloc[0])
    return {"encoder": Checkpoint({"w": weights}, header(**MENU)), "metrics": {"loss": float(weights[0])}}


def score(encoder: Checkpoint, windows: pd.DataFrame, splits: pd.DataFrame, params: ProbeParams) -> dict[str, float]:
    return {"score": float(encoder.tensors["w"][0])}


def write(**metrics: Any) -> str:
    return str(metrics)


INGEST = Node(ingest, "source", {k: k for k in ("recordings", "events")}, name="ingest", tags="data")
CUT = Node(cut, ["recordings", "events"], "windows", name="cut", tags="data")
SPLIT = Node(split, ["recordings", "params:split"], "splits", name="split", tags="data")
TRAIN = Node(train, ["windows", "splits"], {"encoder": "pretrain.encoder", "metrics": "pretrain.metrics"}, name="train")
PROBE = Node(score, ["pretrain.encoder", "windows", "splits", "params:probe"], "probe.metrics", name="probe")
REPORT = Node(
    write,
    {"splits": "splits", "pretrain": "pretrain.metrics", "probe": "probe.metrics"},
    "report",
    name="report",
    tags="report",
)
PIPELINES = {
    "ingest": Pipeline([INGEST]),
    "window": Pipeline([INGEST, CUT]),
    "mix": Pipeline([INGEST, CUT, SPLIT]),
    "pretrain": Pipeline([INGEST, CUT, SPLIT, TRAIN]),
    "__default__": Pipeline([INGEST, CUT, SPLIT, TRAIN, PROBE, REPORT]),
    "probe": Pipeline([INGEST, CUT, SPLIT, PROBE]),
}


class Project:
    """A project of six steps in a folder; each run is a session of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source, self.salt, self.probe = 11, "a", ProbeParams(tasks=["eyes"])

    def catalog(self) -> DataCatalog:
        tables = ("recordings", "events", "windows", "splits")
        return DataCatalog(
            {name: TableDataset(filepath=str(self.folder / f"{name}.parquet")) for name in tables}
            | {f"{p}.metrics": MetricsDataset(filepath=str(self.folder / f"{p}.json")) for p in ("pretrain", "probe")}
            | {"pretrain.encoder": CheckpointDataset(filepath=str(self.folder / "encoder.safetensors"))}
            | {"source": MemoryDataset(self.source), "params:split": MemoryDataset(SplitParams(salt=self.salt))}
            | {"params:probe": MemoryDataset(self.probe), "report": MemoryDataset()}
        )

    def run(self, pipeline: str | Pipeline = "__default__", **changes: Any) -> None:
        """Run as Kedro's sequential runner does."""
        for name, value in changes.items():
            setattr(self, name, value)
        catalog = self.catalog()
        chosen = PIPELINES[pipeline] if isinstance(pipeline, str) else pipeline
        now = {"params:split": SplitParams(salt=self.salt).identity(), "params:probe": self.probe.identity()}
        lineage = Lineage(PIPELINES, now, " --env=toy")
        lineage.check_run(chosen, catalog)
        for node in chosen.nodes:
            inputs = {name: catalog.load(name) for name in node.inputs}
            lineage.begin(node, catalog, inputs)
            outputs = node.run(inputs)
            lineage.end(node, catalog, inputs, outputs)
            for name, value in outputs.items():
                catalog.save(name, value)

    def refused(self, pipeline: str | Pipeline, **changes: Any) -> str:
        with pytest.raises((LineageError, CheckpointError)) as caught:
            self.run(pipeline, **changes)
        return str(caught.value)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.run()
    return project


def only(*nodes: Node) -> Pipeline:
    return Pipeline(list(nodes))


def test_what_is_of_one_generation_is_never_refused(project: Project) -> None:
    for node in (CUT, SPLIT, TRAIN, PROBE, REPORT):
        project.run(only(node))
    project.run("mix")
    project.run(only(REPORT))


def test_data_that_comes_out_the_same_asks_for_no_training(project: Project) -> None:
    project.run("mix", source=12)  # other recordings, the same windows and splits
    project.run(only(PROBE))
    project.run(only(REPORT))


def test_a_step_between_that_was_left_out(project: Project) -> None:
    project.run("ingest", source=12)
    line = project.refused(only(TRAIN))
    assert line.startswith(
        "two generations: splits, windows were made from another recordings; windows was made from another events; "
    )
    assert line.endswith("make them again with: kedro run --pipelines=mix --env=toy")
    assert "--pipelines=mix" in project.refused(only(PROBE))
    project.run("mix")
    project.run(only(TRAIN))


def test_data_is_made_again_before_an_encoder(project: Project) -> None:
    """Data may come out the same, and then no training is needed."""
    project.run("mix", salt="bb")  # the encoder is of other splits
    project.run("ingest", source=12)  # and the splits are of other recordings
    line = project.refused(only(REPORT))
    assert line.endswith("make them again with: kedro run --pipelines=mix --env=toy")
    assert "overwrite" not in line


def test_what_changes_while_a_step_runs_is_not_what_it_read(project: Project) -> None:
    def cut_slowly(recordings: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
        project.run("ingest", source=12)  # somebody else, meanwhile
        return cut(recordings, events)

    project.run(only(Node(cut_slowly, CUT.inputs, "windows", name="cut", tags="data")))
    assert "windows was made from another recordings" in project.refused(only(SPLIT, TRAIN))


def test_a_table_that_its_run_did_not_finish(project: Project) -> None:
    before = (project.folder / "events.parquet").read_bytes()
    project.run("ingest", source=12)
    (project.folder / "events.parquet").write_bytes(before)
    assert "recordings was made from another events" in project.refused(only(CUT))
    assert project.refused(only(CUT)).endswith("kedro run --pipelines=ingest --env=toy")


def test_parameters_and_code_of_the_data_are_those_of_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = project.refused(only(TRAIN), salt="bb")
    assert line == (
        "two generations: splits was made with other parameters (split.salt was 'a' and is 'bb'); "
        "make them again with: kedro run --pipelines=mix --env=toy"
    )
    project.run(only(REPORT))  # a report is about what is there
    monkeypatch.setattr("eegfm.project.lineage.code_sha256", lambda *roots: "edited")
    assert "made by other code" in project.refused(only(TRAIN), salt="a")


def test_an_encoder_of_other_splits_is_refused_and_accepted_by_name(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.run("mix", salt="bb")
    line = project.refused(only(PROBE))
    assert line.startswith("two generations: pretrain.encoder was made from another splits; the stored encoder is kept")
    assert "add model=NAME or pretrain.overwrite=true to --params; make them again with: " in line
    assert line.endswith("kedro run --pipelines=pretrain --env=toy, or set probe.accept_other_data=true")
    assert project.refused("probe") == line  # after the data was made, before torch would be imported
    project.run(only(PROBE), probe=ProbeParams(tasks=["eyes"], accept_other_data=True))
    assert "pretrain.encoder was made from another splits" in caplog.text
    assert project.catalog()["probe.metrics"].record().accepted == ("pretrain.encoder was made from another splits",)
    line = project.refused(only(REPORT))
    assert "pretrain.metrics was made from another splits" in line
    assert line.endswith("kedro run --pipelines=pretrain --env=toy")


def test_what_is_accepted_is_not_more_than_what_is_named(project: Project) -> None:
    project.run("ingest", source=12)
    accepting = ProbeParams(tasks=["eyes"], accept_other_data=True, accept_other_code=True)
    assert "windows" in project.refused(only(PROBE), probe=accepting)


def test_both_numbers_are_old(project: Project) -> None:
    project.run("mix", salt="bb")
    assert project.refused(only(REPORT)).endswith("kedro run --pipelines=pretrain,probe --env=toy")


@pytest.mark.parametrize("name", ["splits", "windows"])
def test_a_table_without_a_record(project: Project, name: str) -> None:
    dataset = project.catalog()[name]
    dataset.save(dataset.load())
    line = project.refused(only(TRAIN))
    assert line.startswith(f"{name} ({project.folder / name}.parquet) does not say what it was made from")
    assert f"kedro run --pipelines={'mix' if name == 'splits' else 'window'} --env=toy" in line


def flip(path: Path, where: int) -> None:
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "command"), [("splits", "mix"), ("windows", "window"), ("recordings", "ingest"), ("events", "ingest")]
)
@pytest.mark.parametrize("where", [5, -40])  # a page of values, the footer
def test_a_damaged_table_stops_the_run_before_its_first_step(
    project: Project, name: str, command: str, where: int
) -> None:
    path = project.folder / f"{name}.parquet"
    flip(path, where)
    chosen = only(CUT, SPLIT) if name in ("recordings", "events") else only(TRAIN)
    line = project.refused(chosen)
    assert f"{name} ({path})" in line if where < 0 else line.startswith(f"{path}: damaged")
    assert line.endswith(f"; make it again with: kedro run --pipelines={command} --env=toy")
    project.run(command)
    project.run(chosen)


def test_metrics_that_were_edited_are_not_reported(project: Project) -> None:
    path = project.folder / "probe.json"
    old = project.catalog().load("probe.metrics")["score"]
    path.write_text(path.read_text().replace(f'"score": {old}', '"score": 0.99'))
    line = project.refused(only(REPORT))
    assert line.startswith(f"{path}: damaged or changed by hand: ")
    assert line.endswith("make it again with: kedro run --pipelines=probe --env=toy")
    project.run("probe")
    project.run(only(REPORT))


@pytest.mark.parametrize("where", [-1, 20])  # a weight, the header
def test_a_damaged_encoder_is_not_probed(project: Project, where: int) -> None:
    flip(project.folder / "encoder.safetensors", where)
    line = project.refused(only(PROBE))
    assert line.startswith(f"{project.folder}/encoder.safetensors: ")
    assert line.endswith("make it again with: kedro run --pipelines=pretrain --env=toy")
    project.run("pretrain")
    project.run(only(PROBE))


def test_damaged_weights_that_were_imported_are_imported_again(project: Project) -> None:
    encoder = project.catalog()["pretrain.encoder"]
    (project.folder / "encoder.safetensors").unlink()
    encoder.save(Checkpoint({"w": np.zeros(3)}, imported_header(**MENU)))
    flip(project.folder / "encoder.safetensors", -1)
    assert project.refused(only(PROBE)).endswith("kedro run --pipelines=import_weights --env=toy")


def test_an_encoder_that_somebody_put_there(project: Project) -> None:
    encoder = project.catalog()["pretrain.encoder"]
    encoder.save(Checkpoint({"w": np.zeros(3)}, header(**MENU)))
    assert "pretrain.encoder (" in project.refused(only(PROBE))


def test_imported_weights_are_imported_again(project: Project) -> None:
    def take(source: int) -> Checkpoint:
        return Checkpoint({"w": np.full(3, float(source))}, imported_header(**MENU, encoder_code={"old": "0"}))

    (project.folder / "encoder.safetensors").unlink()
    project.run(only(Node(take, "source", "pretrain.encoder", name="import")))
    assert "kedro run --pipelines=import_weights --env=toy, use" in project.refused(only(PROBE))
    project.run(only(PROBE), probe=ProbeParams(tasks=["eyes"], accept_other_code=True))


def test_workers_without_hooks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks, shared = ProjectHooks(), SharedMemoryDataCatalog()
    monkeypatch.setenv("KEDRO_MP_CONTEXT", "spawn")
    with pytest.raises(EegfmError, match=r"by 'spawn', and Kedro runs no hooks .*--runner=ThreadRunner"):
        hooks.before_pipeline_run(Pipeline([]), shared)
    hooks.before_pipeline_run(Pipeline([]), DataCatalog())
    monkeypatch.setenv("KEDRO_MP_CONTEXT", "fork")
    hooks.before_pipeline_run(Pipeline([]), shared)
    monkeypatch.delenv("KEDRO_MP_CONTEXT")
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: "forkserver")
    with pytest.raises(EegfmError, match="forkserver"):
        hooks.before_pipeline_run(Pipeline([]), shared)
