"""Catalog dataset of several checkpoints by name, each a file of its own in one folder."""

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview

from eegfm.checkpoint import Checkpoint, load_checkpoint, read_header, save_checkpoint
from eegfm.errors import EegfmError

_SUFFIX = ".safetensors"


class CheckpointsDataset(AbstractDataset[dict[str, Checkpoint], dict[str, Checkpoint]]):
    """A folder of ``<name>.safetensors``: each is a file that ``ENCODER`` may name.

    Args:
        path: The folder.
        metadata: Kedro's free metadata, e.g. the layer for kedro viz.
    """

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> dict[str, Checkpoint]:
        """Read all checkpoints, and compare each with its checksums."""
        files = self._files()
        if not files:
            raise EegfmError(f"folder {self._path} holds no {_SUFFIX} file; run the pipeline that makes it first")
        return {name: load_checkpoint(file) for name, file in files.items()}

    def save(self, data: dict[str, Checkpoint]) -> None:
        """Write each file whole; files of other names are removed afterwards, because nothing makes them any more."""
        self._path.mkdir(parents=True, exist_ok=True)
        for name, checkpoint in data.items():
            save_checkpoint(self._path / f"{name}{_SUFFIX}", checkpoint)
        for name, file in self._files().items():
            if name not in data:
                file.unlink()

    def preview(self) -> JSONPreview:
        """What each checkpoint answers, for kedro viz."""
        headers = {name: read_header(file) for name, file in self._files().items()}
        shown = {
            name: {"encoder": header.encoder["name"], **{k: header.objective.get(k) for k in ("target", "head")}}
            for name, header in headers.items()
        }
        return JSONPreview(json.dumps(shown))

    def _files(self) -> dict[str, Path]:
        return {file.name.removesuffix(_SUFFIX): file for file in sorted(self._path.glob(f"*{_SUFFIX}"))}

    def _exists(self) -> bool:
        return bool(self._files())

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
