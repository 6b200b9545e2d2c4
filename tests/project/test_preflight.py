"""What the machine lacks is said before the first step: packages, devices, folders that can be written, signals."""

import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from checkpoints import header, imported_header
from eegfm.checkpoint import Checkpoint, save_checkpoint
from eegfm.errors import CheckpointError, ConfigError, EegfmError, SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.io.folder import FolderDataset, WorkspaceDataset
from eegfm.io.foreign_file import ForeignFileDataset
from eegfm.io.start_file import StartFileDataset
from eegfm.io.table import TableDataset
from eegfm.jobs.acquire.config import AcquireParams
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.weights.config import ExportParams, ImportParams
from eegfm.pipelines import export, import_weights, ingest, pretrain, probe
from eegfm.project import preflight
from eegfm.project.preflight import check_machine
from eegfm.signal.config import SignalParams
from eegfm.training.config import PretrainParams

RAW = AcquireParams()
DASK = IngestParams.model_validate({"corpus": {"name": "hbn"}, "workers": {"backend": "dask"}})
ZOO = ImportParams.model_validate(
    {"encoder": {"name": "braindecode"}, "montage": "1020_19", "rate_hz": 200, "window_s": 4, "corpora": [],
     "filters": {"low_hz": 0.1, "high_hz": 75}}
)  # fmt: skip


def step(*inputs: str, outputs: Any = None) -> Pipeline:
    def work(*values: Any) -> None: ...

    return Pipeline([Node(work, [*inputs], outputs, name="step")])


def check(pipeline: Pipeline, **entries: Any) -> None:
    named = {name.replace("__", "."): value for name, value in entries.items()}
    check_machine(pipeline, DataCatalog(named))


def params(key: str, value: Any) -> DataCatalog:
    return DataCatalog({f"params:{key}": MemoryDataset(value)})


@pytest.mark.parametrize(
    ("key", "value", "package", "line"),
    [
        ("export", ExportParams(formats=("onnx",)), "onnxruntime", "export.formats: onnx needs onnxruntime; "),
        ("hbn.ingest", DASK, "distributed", "hbn.ingest.workers.backend: dask needs distributed; "),
        ("import", ZOO, "braindecode", "import.encoder: braindecode needs braindecode; "),
    ],
)
def test_a_missing_extra(key: str, value: Any, package: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(preflight, "find_spec", lambda name: object())
    check_machine(step(f"params:{key}"), params(key, value))
    monkeypatch.setattr(preflight, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(ConfigError) as caught:
        check_machine(step(f"params:{key}"), params(key, value))
    assert str(caught.value).startswith(f'{line}install it with pip install "eegfm[')
    check_machine(step(f"params:{key}"), params(key, ExportParams()))  # the default needs no extra


def test_a_stored_encoder_that_needs_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = CheckpointDataset(filepath=str(tmp_path / "e.safetensors"))
    encoder.save(Checkpoint({"w": np.zeros(2)}, header(encoder={"name": "braindecode"})))
    for name in ("braindecode", "torchaudio"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pretrain\.encoder: encoder: braindecode needs braindecode, torchaudio"):
        check(step("pretrain.encoder"), pretrain__encoder=encoder)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        (
            "pretrain",
            PretrainParams(n_steps=1, accelerator="cuda"),
            "parameter pretrain.accelerator is 'cuda', and torch",
        ),
        (
            "probe",
            ProbeParams(tasks=["eyes"], accelerator="cuda"),
            "parameter probe.accelerator is 'cuda', and torch",
        ),
        (
            "finetune",
            FinetuneParams(tasks=["eyes"], accelerator="mps"),
            "parameter finetune.accelerator is 'mps', and torch",
        ),
    ],
)
def test_a_gpu_that_is_not_there(key: str, value: Any, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: key == "probe")  # a probe asks for CUDA
    with pytest.raises(ConfigError) as caught:
        check_machine(step(f"params:{key}"), params(key, value))
    assert str(caught.value).startswith(line)


def test_a_gpu_that_does_not_know_the_number_format(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old GPU")
    for is_known in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, n=is_known: n)
        asked = PretrainParams(n_steps=1, accelerator="cuda", precision="bf16-mixed")
        if is_known:
            check_machine(step("params:pretrain"), params("pretrain", asked))
            continue
        with pytest.raises(ConfigError, match=r"Old GPU does not compute in bfloat16; set pretrain\.precision=32-true"):
            check_machine(step("params:pretrain"), params("pretrain", asked))


def test_torch_is_asked_only_about_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eegfm.nn.device", None)  # an import of it is an error
    for accelerator in ("auto", "cpu"):
        value = PretrainParams(n_steps=1, accelerator=accelerator, precision="bf16-mixed")
        check_machine(step("params:pretrain"), params("pretrain", value))
    check_machine(step("params:probe"), params("probe", ProbeParams(tasks=["eyes"])))


def test_devices_and_nodes_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    for name in ("SLURM_JOB_ID", "SLURM_JOB_NUM_NODES", "SLURM_NNODES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for given, line in (
        ({"devices": 2}, "pretrain.devices is 2, and this node has 1 GPU; choose"),
        ({"num_nodes": 2}, "pretrain.num_nodes is 2, and this is no job of SLURM; start it with sbatch"),
    ):
        with pytest.raises(ConfigError) as caught:
            check_machine(step("params:pretrain"), params("pretrain", PretrainParams(n_steps=1, **given)))
        assert str(caught.value).startswith(line)
    check_machine(step("params:pretrain"), params("pretrain", PretrainParams(n_steps=1, devices=2, accelerator="cpu")))


def table(path: Path) -> TableDataset:
    return TableDataset(filepath=str(path))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    pipeline = step("in", outputs="out")
    check(pipeline, out=table(tmp_path / "a/b/c.parquet"))
    assert list(tmp_path.iterdir()) == [], "a try leaves nothing"
    (tmp_path / "file").touch()
    with pytest.raises(
        EegfmError, match=rf"^out cannot be written into {tmp_path}/file/b: {tmp_path}/file is no folder"
    ):
        check(pipeline, out=table(tmp_path / "file/b/c.parquet"))
    (tmp_path / "c.parquet").mkdir()
    with pytest.raises(EegfmError, match=r"^out cannot be written: .*/c\.parquet is a folder; move it away"):
        check(pipeline, out=table(tmp_path / "c.parquet"))
    with pytest.raises(EegfmError, match=r"^in cannot be written into /proc/nowhere: a file in /proc could not be"):
        check(pipeline, **{"in": WorkspaceDataset(path="/proc/nowhere")}, out=table(tmp_path / "d.parquet"))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EegfmError, match=r"could not be written \(Permission denied\)"):
        check(step("in", outputs="out"), out=table(tmp_path / "x.parquet"))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None: ...

        def write(self, data: bytes) -> None:
            assert data
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(preflight.tempfile, "NamedTemporaryFile", lambda **_: Full())
    with pytest.raises(EegfmError, match=r"could not be written \(No space left on device\); make room"):
        check(step("in", outputs="out"), out=table(tmp_path / "x.parquet"))


@pytest.mark.parametrize("source", ["folder", "simulated_hbn"])
def test_raw_folders_of_others_are_not_written(source: str, tmp_path: Path) -> None:
    pipeline = ingest.create_pipeline("mine").only_nodes("mine.acquire_raw_files")
    entries = {
        "mine.raw_folder": WorkspaceDataset(path="/proc/nowhere"),
        "mine.raw": FolderDataset(path="/proc/nowhere"),
        "mine.workspace": WorkspaceDataset(path=str(tmp_path)),
        "params:mine.acquire": MemoryDataset(AcquireParams.model_validate({"source": {"name": source}})),
    }
    if source == "folder":
        check_machine(pipeline, DataCatalog(entries))
        return
    with pytest.raises(EegfmError, match=r"^mine\.raw cannot be written into /proc/nowhere"):
        check_machine(pipeline, DataCatalog(entries))


def test_the_folder_above_an_export_is_written_too(tmp_path: Path) -> None:
    entries = {
        "pretrain.export_folder": WorkspaceDataset(path="/proc/self"),
        "params:export": MemoryDataset(ExportParams()),
    }
    with pytest.raises(EegfmError, match=r"^pretrain\.export_folder cannot be written into /proc"):
        check_machine(export.create_pipeline(), DataCatalog(entries))


@pytest.mark.parametrize(
    ("entry", "kind"), [("pretrain.encoder", CheckpointDataset), ("adapt.start", StartFileDataset)]
)
def test_signals_of_another_rate_than_the_encoder_expects(entry: str, kind: Any, tmp_path: Path) -> None:
    described = header(filters={"low_hz": 0.5, "high_hz": 45.0, "notch_hz": None})
    save_checkpoint(tmp_path / "e.safetensors", Checkpoint({"w": np.zeros(2)}, described))
    pipeline = step("params:signal", "params:probe", entry, outputs="hbn.signals")
    for signal, differs in (({}, ""), ({"rate_hz": 200.0, "high_hz": 40.0}, "high_hz 40.0 -> 45.0")):
        asked = SignalParams.model_validate({"rate_hz": 100.0, "low_hz": 0.5, "high_hz": 45.0} | signal)
        catalog = DataCatalog(
            {
                "params:signal": MemoryDataset(asked),
                "params:probe": MemoryDataset(ProbeParams(tasks=["eyes"])),
                entry: kind(filepath=str(tmp_path / "e.safetensors")),
                "hbn.signals": WorkspaceDataset(path=str(tmp_path / "signals")),
            }
        )
        if not differs:
            check_machine(pipeline, catalog)
            continue
        with pytest.raises(CheckpointError) as caught:
            check_machine(pipeline, catalog)
        assert f"signal.rate_hz 200.0 -> 100.0, signal.{differs}" in str(caught.value)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    file = ForeignFileDataset(filepath=str(tmp_path / "luna.pth"), variable="FOREIGN_WEIGHTS")
    with pytest.raises(EegfmError, match=r"^/.*/luna\.pth: no such file; FOREIGN_WEIGHTS names it"):
        check(import_weights.create_pipeline(), import_weights__file=file)
    (tmp_path / "luna.pth").touch()
    check(import_weights.create_pipeline(), import_weights__file=file)


@pytest.mark.parametrize(
    ("corpora", "line"),
    [([], "corpora of the imported encoder are unknown"), (["HBN"], "trained on unknown persons of HBN"), (["x"], "")],
)
@pytest.mark.parametrize("n_trained", [0, 1, 2])
def test_imported_weights_that_may_know_the_probed_persons(
    n_trained: int, corpora: list[str], line: str, tmp_path: Path
) -> None:
    """They are probed, or a phase starts from them whose encoder is probed, or the phase after that."""
    encoder = CheckpointDataset(filepath=str(tmp_path / "e.safetensors"))
    encoder.save(Checkpoint({"w": np.zeros(2)}, imported_header(corpora=corpora)))
    phases = ["pretrain", "adapt", "more"][: n_trained + 1]
    trainings = [pretrain.create_pipeline(["hbn"], b, f"{a}.encoder") for a, b in pairwise(phases)]
    pipeline = sum(trainings, probe.create_pipeline(["other", "hbn"], phases[-1]))
    folders = {f"{phase}.runs": WorkspaceDataset(path=str(tmp_path)) for phase in phases}
    for is_allowed in (True, False):
        asked = ProbeParams(tasks=["eyes"], allow_pretrained_persons=is_allowed)
        catalog = DataCatalog({"params:probe": MemoryDataset(asked), "pretrain.encoder": encoder, **folders})
        if is_allowed or not line:
            check_machine(pipeline, catalog)
            continue
        with pytest.raises(SplitError, match=line):
            check_machine(pipeline, catalog)
