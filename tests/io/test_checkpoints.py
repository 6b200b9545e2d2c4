"""Several checkpoints in one catalog entry."""

import json
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from checkpoints import header
from eegfm.checkpoint import Checkpoint
from eegfm.errors import LineageError
from eegfm.io.checkpoints import CheckpointsDataset
from eegfm.provenance import Record


def checkpoint(value: float) -> Checkpoint:
    return Checkpoint({"encoder.w": np.full(3, value, dtype=np.float32)}, header())


def dataset(tmp_path: Path) -> CheckpointsDataset:
    return CheckpointsDataset(path=str(tmp_path / "encoder"))


def recorded(data: dict[str, Checkpoint], entry: CheckpointsDataset) -> Record:
    return Record(
        contents=entry.identity_of(data), made_by="finetune_encoder", is_data=False, made_from={}, made_with={},
        parameters={}, code=((), ""), accepted=(),
    )  # fmt: skip


def test_each_is_a_file_and_what_is_not_made_any_more_goes(tmp_path: Path) -> None:
    entry = dataset(tmp_path)
    assert not entry.exists()
    entry.save({"hbn.eyes": checkpoint(1), "hbn.age": checkpoint(2)})
    entry.save({"hbn.eyes": checkpoint(3)})
    assert [path.name for path in (tmp_path / "encoder").iterdir()] == ["hbn.eyes.safetensors"]
    [(name, found)] = entry.load().items()
    assert name == "hbn.eyes"
    np.testing.assert_array_equal(found.tensors["encoder.w"], np.full(3, 3, dtype=np.float32))
    assert json.loads(entry.preview())["hbn.eyes"]["encoder"] == header().encoder["name"]


def test_the_record_is_of_all_files_together(tmp_path: Path) -> None:
    entry, data = dataset(tmp_path), {"a": checkpoint(1), "b": checkpoint(2)}
    entry.save(data)
    assert entry.identity() == entry.UNKNOWN
    entry.keep(recorded(data, entry))
    entry.save(data)
    assert entry.identity() == entry.identity_of(data)
    assert entry.record() is not None
    (tmp_path / "encoder" / "b.safetensors").unlink()
    with pytest.raises(DatasetError) as info:
        entry.load()
    assert isinstance(info.value.__cause__, LineageError)
    assert "changed by hand" in str(info.value.__cause__)


def test_an_empty_folder_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"encoder holds no \.safetensors file; make them with: kedro run"):
        dataset(tmp_path).load()
