"""Catalog datasets of folders. Nodes pass the path."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from eegfm.errors import EegfmError


class FolderDataset(AbstractDataset[Path, Path]):
    """A folder that a node fills and the next one reads; saving checks that it was filled.

    Args:
        path: The folder.
        metadata: Kedro's free metadata.
    """

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> Path:
        """The folder, which must exist."""
        if not self._path.is_dir():
            raise EegfmError(f"folder {self._path} does not exist; run the pipeline that makes it first")
        return self._path

    def save(self, data: Path) -> None:
        """Take note that the folder is filled."""
        if Path(data) != self._path or not self._path.is_dir():
            raise EegfmError(
                f"the catalog names two folders where it must name one: {data} and {self._path}; correct the two "
                "entries, such as raw_folder and raw of a corpus"
            )

    def _exists(self) -> bool:
        return self._path.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}


class WorkspaceDataset(FolderDataset):
    """A folder in which a step may work and find results of earlier runs. It can only be loaded."""

    def load(self) -> Path:
        """The folder, whether it exists yet or not."""
        return self._path

    def save(self, data: Path) -> None:
        """Refuse: a workspace is where a node works, never what it returns."""
        raise DatasetError(f"{self._path} is a workspace and cannot be a node's output")

    def _exists(self) -> bool:
        return True
