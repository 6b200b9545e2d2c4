"""The stored encoder and a run that would replace it: before the first step, and when the run saves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from checkpoints import header, imported_header
from eegfm.checkpoint import Checkpoint, CheckpointHeader, load_checkpoint, save_checkpoint
from eegfm.errors import CheckpointError
from eegfm.io.absent import AbsentDataset
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.io.folder import WorkspaceDataset
from eegfm.io.metrics import MetricsDataset
from eegfm.jobs.weights.config import ImportParams
from eegfm.pipelines import export, import_weights, pretrain
from eegfm.project.encoder_guard import check_encoder, keep_other_encoder
from eegfm.provenance import Record
from eegfm.training.config import PretrainParams

PRETRAIN, IMPORT = pretrain.create_pipeline(["hbn"]), import_weights.create_pipeline()
PARAMS = PretrainParams(n_steps=6)
FACTS = ImportParams.model_validate(
    {"encoder": {"name": "labram"}, "montage": "1020_19", "rate_hz": 200, "window_s": 4, "corpora": [],
     "filters": {"low_hz": 0.1, "high_hz": 75}}
)  # fmt: skip


def made_with(described: CheckpointHeader, **parameters: Any) -> Checkpoint:
    checkpoint = Checkpoint({"w": np.zeros(2, dtype=np.float32)}, described)
    record = Record(
        contents=checkpoint.identity(), made_by="x", is_data=False, made_from={}, made_with={},
        parameters={f"params:{key}": value.identity() for key, value in parameters.items()}, code=((), ""),
    )  # fmt: skip
    return checkpoint.with_record(record)


def catalog(folder: Path, params: PretrainParams = PARAMS, facts: ImportParams = FACTS) -> DataCatalog:
    return DataCatalog(
        {
            "pretrain.encoder": CheckpointDataset(filepath=str(folder / "encoder.safetensors")),
            "pretrain.runs": WorkspaceDataset(path=str(folder / "runs")),
            "import_weights.report": MetricsDataset(filepath=str(folder / "report.json")),
            "params:pretrain": MemoryDataset(params),
            "params:import": MemoryDataset(facts),
        }
    )


def refused(pipeline: Pipeline, found: DataCatalog) -> str:
    with pytest.raises(CheckpointError) as caught:
        check_encoder(pipeline, found)
    return str(caught.value).partition(" holds an encoder that ")[2]


def store(folder: Path, checkpoint: Checkpoint) -> Path:
    file = folder / "encoder.safetensors"
    save_checkpoint(file, checkpoint)
    return file


def test_nothing_there_and_nothing_changed(tmp_path: Path) -> None:
    for pipeline in (PRETRAIN, IMPORT, export.create_pipeline()):
        check_encoder(pipeline, catalog(tmp_path))
    store(tmp_path, made_with(header(), pretrain=PARAMS))
    check_encoder(PRETRAIN, catalog(tmp_path))
    check_encoder(PRETRAIN, catalog(tmp_path, PARAMS.model_copy(update={"accelerator": "cpu", "license": "mit"})))
    store(tmp_path, made_with(imported_header(), **{"import": FACTS}))
    check_encoder(IMPORT, catalog(tmp_path))


def test_other_parameters_are_named_before_the_first_step(tmp_path: Path) -> None:
    store(tmp_path, made_with(header(), pretrain=PARAMS))
    other = PARAMS.model_copy(update={"seed": 3, "n_steps": 7})
    assert refused(PRETRAIN, catalog(tmp_path, other)) == (
        "was trained with other parameters (pretrain.n_steps 6 -> 7, pretrain.seed 0 -> 3); this run would replace it: "
        "keep both with --params=model=NAME, or replace it with --params=pretrain.overwrite=true"
    )
    check_encoder(PRETRAIN, catalog(tmp_path, other.model_copy(update={"overwrite": True})))
    check_encoder(PRETRAIN, catalog(tmp_path, PARAMS.model_copy(update={"n_steps": 7})))  # it goes on
    fewer = refused(PRETRAIN, catalog(tmp_path, PARAMS.model_copy(update={"n_steps": 5})))
    assert fewer.startswith("was trained with other parameters (pretrain.n_steps 6 -> 5); this run")


def test_pairs_of_corpora_that_are_not_trained_on_do_not_count(tmp_path: Path) -> None:
    views, neighbours = {"name": "views"}, {"name": "time_neighbours", "max_gap_s": 4}
    paired = {"n_steps": 6, "objective": {"name": "contrastive"}}
    made, other, same, changed = (
        PretrainParams.model_validate({**paired, "pairs": pairs})
        for pairs in ({"hbn": views, "tuh": views}, {"hbn": views, "tuh": neighbours}, views, {"hbn": neighbours})
    )
    store(tmp_path, made_with(header(), pretrain=made))
    for params in (made, other, same):
        check_encoder(PRETRAIN, catalog(tmp_path, params))
    text = refused(PRETRAIN, catalog(tmp_path, changed))
    assert text.startswith("was trained with other parameters (pretrain.pairs.hbn ")
    both = pretrain.create_pipeline(["hbn", "tuh"])
    assert "(pretrain.pairs.tuh " in refused(both, catalog(tmp_path, other))
    adapt = pretrain.create_pipeline(["hbn"], "adapt", "pretrain.encoder")
    child = made_with(header(phase="adapt", fingerprint="child", parents=(header().as_parent(),)), adapt=PARAMS)
    save_checkpoint(tmp_path / "adapt.safetensors", child)
    for params, expected in ((other, ""), (changed, "was trained from other weights (pretrain.pairs.hbn ")):
        found = catalog(tmp_path, params)
        found["params:pretrain"] = MemoryDataset(params.model_copy(update={"overwrite": True}))
        found["params:adapt"] = MemoryDataset(PARAMS)
        found["adapt.encoder"] = CheckpointDataset(filepath=str(tmp_path / "adapt.safetensors"))
        if expected:
            assert refused(PRETRAIN + adapt, found).startswith(expected)
        else:
            check_encoder(PRETRAIN + adapt, found)


def test_another_start_is_named_before_the_first_step(tmp_path: Path) -> None:
    adapt = pretrain.create_pipeline(["hbn"], "adapt", "pretrain.encoder")
    found = catalog(tmp_path)
    found["params:adapt"] = MemoryDataset(PARAMS)
    found["adapt.encoder"] = CheckpointDataset(filepath=str(tmp_path / "adapt.safetensors"))
    child = header(phase="adapt", fingerprint="child", parents=(header(fingerprint="abc").as_parent(),))
    save_checkpoint(tmp_path / "adapt.safetensors", made_with(child, adapt=PARAMS))
    check_encoder(adapt, found)  # there is no start to compare with
    store(tmp_path, made_with(header(fingerprint="abc"), pretrain=PARAMS))
    check_encoder(adapt, found)
    store(tmp_path, made_with(header(fingerprint="new"), pretrain=PARAMS))
    ways = "; this run would replace it: keep both with --params=model=NAME, or replace it with "
    said = "was trained from other weights (pretrain abc -> pretrain new)"
    assert refused(adapt, found) == f"{said}{ways}--params=adapt.overwrite=true"
    check_encoder(PRETRAIN + adapt, found)  # the start is made again, and may become what it was
    found["params:pretrain"] = MemoryDataset(PARAMS.model_copy(update={"n_steps": 7}))
    check_encoder(PRETRAIN + adapt, found)
    found["params:pretrain"] = MemoryDataset(PARAMS)
    from_seed = pretrain.create_pipeline(["hbn"], "adapt")
    assert refused(from_seed, found).startswith("was trained from other weights (pretrain abc -> a seed); this run")


def test_a_start_that_becomes_another_one_is_named_before_it_is_trained(tmp_path: Path) -> None:
    """Otherwise the phase is refused when the training of its start has ended, hours later."""
    adapt = pretrain.create_pipeline(["hbn"], "adapt", "pretrain.encoder")
    more = pretrain.create_pipeline(["hbn"], "more", "adapt.encoder")
    found = catalog(tmp_path)
    parents: tuple[Any, ...] = ()
    for phase in ("pretrain", "adapt", "more"):
        found[f"{phase}.encoder"] = CheckpointDataset(filepath=str(tmp_path / f"{phase}.safetensors"))
        found[f"params:{phase}"] = MemoryDataset(PARAMS)
        made = header(phase=phase, fingerprint=phase, parents=parents)
        save_checkpoint(tmp_path / f"{phase}.safetensors", made_with(made, **{phase: PARAMS}))
        parents = (made.as_parent(),)
    every = PRETRAIN + adapt + more
    check_encoder(every, found)
    longer, replaced = (PARAMS.model_copy(update=one) for one in ({"n_steps": 7}, {"overwrite": True}))
    found["params:pretrain"] = MemoryDataset(longer)
    assert refused(every, found).startswith("was trained from other weights (pretrain.n_steps 6 -> 7); this run")
    found["params:adapt"] = MemoryDataset(replaced)
    assert refused(every, found).endswith("--params=more.overwrite=true")
    found["params:more"] = MemoryDataset(replaced)
    check_encoder(every, found)


def test_other_code_is_named_before_the_first_step(tmp_path: Path) -> None:
    store(tmp_path, made_with(header(fingerprint="abc"), pretrain=PARAMS))
    (tmp_path / "runs/abc").mkdir(parents=True)
    identity = {"params": {}, "code": {"nn.rereference": "edited since"}}
    (tmp_path / "runs/abc/params.json").write_text(json.dumps({"identity": identity}))
    assert refused(PRETRAIN, catalog(tmp_path)).startswith("was trained by other code (nn.rereference); this run")


def test_imported_and_trained_encoders_do_not_replace_each_other(tmp_path: Path) -> None:
    store(tmp_path, made_with(imported_header(), **{"import": FACTS}))
    assert refused(PRETRAIN, catalog(tmp_path)).startswith("was imported from https://example.org/model (SHA-256 2222")
    (tmp_path / "report.json").write_text(json.dumps({"file": "labram.pth", "file_sha256": "2" * 64}))
    assert refused(PRETRAIN, catalog(tmp_path)).startswith("was imported from labram.pth (SHA-256 222222222222…); this")
    (tmp_path / "report.json").write_text(json.dumps({"file": "labram.pth", "file_sha256": "3" * 64}))
    assert refused(PRETRAIN, catalog(tmp_path)).startswith("was imported from https://example.org/model")
    left_out = catalog(tmp_path)
    left_out["import_weights.report"] = AbsentDataset()  # as in plain `kedro run`, which trains
    assert refused(PRETRAIN, left_out).startswith("was imported from https://example.org/model")
    other = FACTS.model_copy(update={"rate_hz": 250.0})
    assert "with other parameters (import.rate_hz 200.0 -> 250.0)" in refused(IMPORT, catalog(tmp_path, facts=other))

    file = store(tmp_path, made_with(header(fingerprint="abc"), pretrain=PARAMS))
    assert refused(IMPORT, catalog(tmp_path)).startswith("was pretrained here (run abc, 6 steps on hbn, tuh); this run")
    told = catalog(tmp_path, facts=FACTS.model_copy(update={"overwrite": True}))
    check_encoder(IMPORT, told)
    told.save("pretrain.encoder", Checkpoint({"w": np.ones(2, dtype=np.float32)}, imported_header()))
    assert load_checkpoint(file).header.imported


def test_a_file_that_cannot_be_read_is_kept(tmp_path: Path) -> None:
    (tmp_path / "encoder.safetensors").write_bytes(b"of an older eegfm")
    for pipeline in (PRETRAIN, IMPORT):
        assert refused(pipeline, catalog(tmp_path)).startswith("cannot be read here (")
    check_encoder(PRETRAIN, catalog(tmp_path, PARAMS.model_copy(update={"overwrite": True})))


def test_an_encoder_that_came_during_the_training_stays_and_the_new_one_lies_beside(tmp_path: Path) -> None:
    [node] = PRETRAIN.nodes
    made = Checkpoint({"w": np.ones(2, dtype=np.float32)}, header(fingerprint="new"))
    keep_other_encoder(node, catalog(tmp_path), {"pretrain.encoder": made})
    file = store(tmp_path, Checkpoint({"w": np.zeros(2, dtype=np.float32)}, header(fingerprint="other")))
    before = file.read_bytes()
    with pytest.raises(CheckpointError, match=r"holds another encoder.*lies at .*encoder\.new\.safetensors"):
        keep_other_encoder(node, catalog(tmp_path), {"pretrain.encoder": made})
    assert file.read_bytes() == before
    np.testing.assert_array_equal(load_checkpoint(tmp_path / "encoder.new.safetensors").tensors["w"], [1, 1])
    keep_other_encoder(
        node, catalog(tmp_path, PARAMS.model_copy(update={"overwrite": True})), {"pretrain.encoder": made}
    )
    store(tmp_path, made)
    keep_other_encoder(node, catalog(tmp_path), {"pretrain.encoder": made})
    longer = Checkpoint(made.tensors, header(fingerprint="longer").model_copy(update={"continues": ("new",)}))
    keep_other_encoder(node, catalog(tmp_path), {"pretrain.encoder": longer})
    keep_other_encoder(Node(lambda: 1, None, "x", name="other"), catalog(tmp_path), {"x": 1})
