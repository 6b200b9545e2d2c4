"""Checkpoints in the catalog."""

import json
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from checkpoints import header, imported_header
from eegfm.checkpoint import Checkpoint
from eegfm.errors import CheckpointError
from eegfm.io.checkpoint import CheckpointDataset

CHECKPOINT = Checkpoint({"encoder.w": np.arange(6, dtype=np.float32).reshape(2, 3)}, header())


def dataset(tmp_path: Path) -> CheckpointDataset:
    return CheckpointDataset(filepath=str(tmp_path / "pretrain" / "encoder.safetensors"))


def test_round_trip(tmp_path: Path) -> None:
    encoder = dataset(tmp_path)
    assert not encoder.exists()
    encoder.save(CHECKPOINT)
    assert encoder.exists()
    loaded = encoder.load()
    assert loaded.header == CHECKPOINT.header
    np.testing.assert_array_equal(loaded.tensors["encoder.w"], CHECKPOINT.tensors["encoder.w"])


def test_preview_is_the_header_without_its_long_lists(tmp_path: Path) -> None:
    encoder = dataset(tmp_path)
    encoder.save(CHECKPOINT)
    preview = json.loads(encoder.preview())
    assert preview["persons"] == ["2 persons"]
    assert preview["signal_spec"] == {}
    assert preview["encoder"] == CHECKPOINT.header.encoder
    assert preview["unit"] == "uV"


def test_weights_that_are_not_finite_are_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    encoder = dataset(tmp_path)
    encoder.save(CHECKPOINT)
    with pytest.raises(DatasetError) as info:
        encoder.save(Checkpoint({"encoder.w": np.array([1.0, np.nan], dtype=np.float32)}, header()))
    assert isinstance(info.value.__cause__, CheckpointError)
    assert encoder.load().tensors["encoder.w"].shape == (2, 3)
    assert [p.name for p in (tmp_path / "pretrain").iterdir()] == ["encoder.safetensors"]


def test_missing_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as info:
        dataset(tmp_path).load()
    assert isinstance(info.value.__cause__, CheckpointError)
    assert "encoder.safetensors: no such checkpoint; make it with the pipeline pretrain" in str(info.value.__cause__)


def test_imported_weights_replace_imported_ones_only(tmp_path: Path) -> None:
    encoder, foreign = dataset(tmp_path), Checkpoint(CHECKPOINT.tensors, imported_header())
    for _ in range(2):
        encoder.save(foreign)
    assert json.loads(encoder.preview())["persons"] is None
    encoder.save(CHECKPOINT)
    with pytest.raises(DatasetError) as info:
        encoder.save(foreign)
    assert isinstance(info.value.__cause__, CheckpointError)
    assert "holds an encoder that was pretrained here" in str(info.value.__cause__)
    assert "--params=data=FOLDER" in str(info.value.__cause__)
    assert encoder.load().header == CHECKPOINT.header
    (tmp_path / "pretrain" / "encoder.safetensors").write_bytes(b"of an older eegfm")
    with pytest.raises(DatasetError, match="or one that is not readable"):
        encoder.save(foreign)
