"""Folders travel between nodes as paths; a workspace can only be loaded."""

from pathlib import Path

import pytest
from kedro.io import DatasetError

from eegfm.errors import EegfmError
from eegfm.io.folder import FolderDataset, WorkspaceDataset


def test_filled_folder_is_handed_on(tmp_path: Path) -> None:
    folder = FolderDataset(path=str(tmp_path))
    folder.save(tmp_path)
    assert folder.exists()
    assert folder.load() == tmp_path


def test_missing_folder_is_named(tmp_path: Path) -> None:
    folder = FolderDataset(path=str(tmp_path / "gone"))
    assert not folder.exists()
    with pytest.raises(DatasetError) as info:
        folder.load()
    assert isinstance(info.value.__cause__, EegfmError)
    assert f"folder {tmp_path}/gone does not exist" in str(info.value.__cause__)


def test_node_that_filled_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(DatasetError, match=r"the catalog names two folders .*: .*/other and"):
        FolderDataset(path=str(tmp_path)).save(tmp_path / "other")
    with pytest.raises(DatasetError, match="the catalog names"):
        FolderDataset(path=str(tmp_path / "gone")).save(tmp_path / "gone")


def test_workspace_need_not_exist_and_cannot_be_an_output(tmp_path: Path) -> None:
    workspace = WorkspaceDataset(path=str(tmp_path / "not yet"))
    assert workspace.load() == tmp_path / "not yet"
    assert workspace.exists()
    assert not (tmp_path / "not yet").exists()
    with pytest.raises(DatasetError, match="is a workspace and cannot be a node's output"):
        workspace.save(tmp_path / "not yet")
