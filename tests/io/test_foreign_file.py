"""Files of others in the catalog."""

from pathlib import Path

import pytest
from kedro.io import DatasetError

from eegfm.errors import EegfmError
from eegfm.io.foreign_file import ForeignFileDataset


def message(path: Path) -> str:
    with pytest.raises(DatasetError) as info:
        ForeignFileDataset(filepath=str(path), variable="FOREIGN_WEIGHTS").load()
    assert isinstance(info.value.__cause__, EegfmError)
    return str(info.value.__cause__)


def test_the_path_travels_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "w.ckpt").write_bytes(b"x")
    dataset = ForeignFileDataset(filepath=str(tmp_path / "w.ckpt"), variable="FOREIGN_WEIGHTS")
    assert dataset.load() == tmp_path / "w.ckpt"
    with pytest.raises(DatasetError, match="only read"):
        dataset.save(tmp_path)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    assert message(tmp_path / "FOREIGN_WEIGHTS is not set").startswith(
        "environment variable FOREIGN_WEIGHTS is not set; set it to a file"
    )
    assert message(tmp_path / "none.ckpt") == f"{tmp_path}/none.ckpt: no such file; FOREIGN_WEIGHTS names it"
