"""Parameters of a phase follow the stored weights that it starts from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

from checkpoints import header
from eegfm.checkpoint import Checkpoint, save_checkpoint
from eegfm.errors import CheckpointError, ConfigError, EegfmError
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.io.checkpoints import CheckpointsDataset
from eegfm.io.start_file import StartFileDataset
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.pipelines import finetune, pretrain
from eegfm.project.starts import follow_starts
from eegfm.training.blocks import LoadParams, SupervisedLoadParams
from eegfm.training.config import PretrainParams

LUNA = {"name": "luna", "size": "base"}
FIRST = pretrain.create_pipeline(["hbn"], "pretrain")
PREVIOUS = pretrain.create_pipeline(["hbn"], "adapt", "pretrain.encoder")
FILE = pretrain.create_pipeline(["hbn"], "adapt", "adapt.start")


def catalog(folder: Path, variable: str = "pretrain.safetensors", **params: Any) -> DataCatalog:
    return DataCatalog(
        {
            "pretrain.encoder": CheckpointDataset(filepath=str(folder / "pretrain.safetensors")),
            "adapt.encoder": CheckpointDataset(filepath=str(folder / "adapt.safetensors")),
            "adapt.start": StartFileDataset(filepath=str(folder / variable), variable="ENCODER"),
            "params:adapt": MemoryDataset(PretrainParams(n_steps=6, **params)),
            "params:pretrain": MemoryDataset(PretrainParams(n_steps=6)),
        }
    )


def store(folder: Path, name: str = "pretrain", **fields: Any) -> None:
    described = header(encoder=LUNA, reference="as_recorded", **fields)
    save_checkpoint(folder / f"{name}.safetensors", Checkpoint({"w": np.zeros(2, dtype=np.float32)}, described))


def followed(pipeline: Pipeline, found: DataCatalog) -> PretrainParams:
    follow_starts(pipeline, found)
    params: PretrainParams = found.load("params:adapt")
    return params


def test_what_a_stored_start_decides_is_taken_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store(tmp_path)
    for pipeline, start in ((PREVIOUS, "previous"), (FILE, "file")):
        params = followed(pipeline, catalog(tmp_path, start=start, seed=3))
        assert (params.encoder.name, params.reference, params.seed, params.start) == ("luna", "as_recorded", 3, start)
    assert "adapt starts from stored weights, and they decide: encoder.name was 'patch_transf" in caplog.text


def test_the_block_of_the_phase_before_is_no_choice_against_its_stored_encoder(tmp_path: Path) -> None:
    store(tmp_path)
    inherited = {"start": "previous", "encoder": {"name": "patch_transformer", "d_model": 64}}
    assert followed(PREVIOUS, catalog(tmp_path, **inherited)).encoder.name == "luna"
    with pytest.raises(ConfigError, match=r"adapt\.encoder\.name is 'patch_transformer', that of the start is 'luna'"):
        follow_starts(FILE, catalog(tmp_path, **{**inherited, "start": "file"}))


def test_what_is_said_of_the_adapter_waits_for_that_of_the_start(tmp_path: Path) -> None:
    store(tmp_path, adapter={"name": "perceiver"})
    rates, freeze = {"learning_rates": {"adapter": 0.1}}, {"parts": ["adapter"]}
    assert followed(FILE, catalog(tmp_path, start="file", optimizer=rates, freeze=freeze)).adapter.name == "perceiver"
    said = {"start": "previous", "adapter": {"name": "perceiver"}}  # by the block of the phase before
    assert followed(PREVIOUS, catalog(tmp_path, **said, optimizer=rates)).optimizer.learning_rates.adapter == 0.1
    store(tmp_path)
    with pytest.raises(ConfigError, match=r"^adapt\.freeze\.parts names 'adapter', but adapter none has no weights"):
        follow_starts(FILE, catalog(tmp_path, start="file", freeze=freeze))
    with pytest.raises(ConfigError, match=r"^adapt starts from encoder luna: .*adapter none has no weights"):
        follow_starts(FILE, catalog(tmp_path, start="file", optimizer=rates))


def test_a_file_of_other_code_is_refused_before_the_first_step(tmp_path: Path) -> None:
    store(tmp_path, encoder_code={"encoders.luna.model": "0" * 12})
    with pytest.raises(CheckpointError, match=r"or set adapt\.load\.accept_other_code=true"):
        follow_starts(FILE, catalog(tmp_path, start="file"))
    accepted = catalog(tmp_path, start="file", load=LoadParams(accept_other_code=True))
    assert followed(FILE, accepted).encoder.name == "luna"


def test_a_start_that_the_run_makes_is_not_looked_at(tmp_path: Path) -> None:
    store(tmp_path)
    assert followed(FIRST + PREVIOUS, catalog(tmp_path, start="previous")).encoder.name == "patch_transformer"


def test_what_a_file_decides_is_followed_by_the_phases_behind_it(tmp_path: Path) -> None:
    """Otherwise a later phase is refused when the one before it has been trained."""
    store(tmp_path)
    more = pretrain.create_pipeline(["hbn"], "more", "adapt.encoder")
    found = catalog(tmp_path, start="file")
    found["params:more"] = MemoryDataset(PretrainParams(n_steps=6, start="previous"))
    follow_starts(FILE + more, found)
    assert found.load("params:more").encoder == found.load("params:adapt").encoder
    found["params:more"] = MemoryDataset(PretrainParams(n_steps=6, start="previous", objective={"name": "mae"}))
    with pytest.raises(ConfigError, match=r"^more starts from encoder luna: objective mae encodes visible tokens only"):
        follow_starts(FILE + more, found)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("ENCODER is not set", "environment variable ENCODER is not set; set it to a file"),
        ("none.safetensors", r"none\.safetensors: no such file; ENCODER names it"),
        ("adapt.safetensors", r"ENCODER names .*adapt\.safetensors, which adapt itself writes; name another file"),
        ("notes.txt", r"notes\.txt: files of encoders end in \.safetensors"),
    ],
)
def test_a_file_that_is_no_start(tmp_path: Path, variable: str, expected: str) -> None:
    store(tmp_path, "adapt")
    (tmp_path / "notes.txt").write_text("no encoder")
    with pytest.raises(EegfmError, match=expected):
        follow_starts(FILE, catalog(tmp_path, variable, start="file"))


FINETUNED = finetune.create_pipeline(["hbn"], "finetune.start")


def finetune_catalog(folder: Path, variable: str, **params: Any) -> DataCatalog:
    return DataCatalog(
        {
            "finetune.start": StartFileDataset(filepath=str(folder / variable), variable="ENCODER"),
            "finetune.encoder": CheckpointsDataset(path=str(folder / "finetune" / "encoder")),
            "params:finetune": MemoryDataset(FinetuneParams(tasks=("eyes",), start="file", **params)),
        }
    )


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("ENCODER is not set", "^environment variable ENCODER is not set; set it to a file"),
        ("none.safetensors", r"none\.safetensors: no such file; ENCODER names it"),
        (
            "finetune/encoder/hbn.eyes.safetensors",
            r"^ENCODER names .*, and finetune itself writes that folder",
        ),
        ("notes.txt", r"notes\.txt: files of encoders end in \.safetensors"),
        ("other.safetensors", r"or set finetune\.load\.accept_other_code=true"),
    ],
)
def test_a_finetuning_is_refused_a_file_before_the_first_step(tmp_path: Path, variable: str, expected: str) -> None:
    (tmp_path / "finetune" / "encoder").mkdir(parents=True)
    store(tmp_path, "finetune/encoder/hbn.eyes")
    store(tmp_path, "other", encoder_code={"encoders.luna.model": "0" * 12})
    (tmp_path / "notes.txt").write_text("no encoder")
    with pytest.raises(EegfmError, match=expected):
        follow_starts(FINETUNED, finetune_catalog(tmp_path, variable))


def test_a_finetuning_takes_a_file_of_another_folder(tmp_path: Path) -> None:
    store(tmp_path, "hbn.eyes")
    follow_starts(FINETUNED, finetune_catalog(tmp_path, "hbn.eyes.safetensors"))
    store(tmp_path, "other", encoder_code={"encoders.luna.model": "0" * 12})
    accepted = SupervisedLoadParams(accept_other_code=True)
    follow_starts(FINETUNED, finetune_catalog(tmp_path, "other.safetensors", load=accepted))
