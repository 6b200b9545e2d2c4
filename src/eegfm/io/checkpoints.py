"""Catalog dataset of several checkpoints by name, each a file of its own in one folder."""

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview

from eegfm.checkpoint import Checkpoint, load_checkpoint, read_header, save_checkpoint
from eegfm.errors import EegfmError
from eegfm.files import write_atomically
from eegfm.io.recorded import Recorded, parsed, written
from eegfm.provenance import Record, sha256_of

_SUFFIX = ".safetensors"
_RECORD = "record.json"


class CheckpointsDataset(Recorded, AbstractDataset[dict[str, Checkpoint], dict[str, Checkpoint]]):
    """A folder of ``<name>.safetensors``: each is a file that ``ENCODER`` may name. ``record.json`` is their record.

    Args:
        path: The folder.
        metadata: Kedro's free metadata, e.g. the layer for kedro viz.
    """

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(filepath=path, metadata=metadata)

    def load(self) -> dict[str, Checkpoint]:
        """Read all checkpoints, and compare each with its checksums and all with their record."""
        return self._checked()

    def save(self, data: dict[str, Checkpoint]) -> None:
        """Write each file whole; files of other names are removed, because nothing makes them any more.

        The record comes last: a folder that is half written has none, or one of something else.
        """
        record = self._take(data)
        self._path.mkdir(parents=True, exist_ok=True)
        (self._path / _RECORD).unlink(missing_ok=True)
        for name, checkpoint in data.items():
            save_checkpoint(self._path / f"{name}{_SUFFIX}", checkpoint.with_record(None))
        for name, file in self._files().items():
            if name not in data:
                file.unlink()
        if record is not None:
            write_atomically(self._path / _RECORD, json.dumps(written(record)).encode())

    def preview(self) -> JSONPreview:
        """Show what each checkpoint answers, in kedro viz."""
        headers = {name: read_header(file) for name, file in self._files().items()}
        shown = {
            name: {"encoder": header.encoder["name"], **{k: header.objective.get(k) for k in ("target", "head")}}
            for name, header in headers.items()
        }
        return JSONPreview(json.dumps(shown))

    def identity_of(self, data: dict[str, Checkpoint]) -> str:
        """Return a hash of all weights and headers, by name."""
        return sha256_of({name: checkpoint.identity() for name, checkpoint in sorted(data.items())})

    def check(self) -> None:
        """See ``Recorded``."""
        self._checked()

    def _checked(self) -> dict[str, Checkpoint]:
        files = self._files()
        if not files:
            raise EegfmError(f"folder {self._path} holds no {_SUFFIX} file; make them with: {self.command}")
        found = {name: load_checkpoint(file) for name, file in files.items()}
        self._refuse_other_contents(self.identity_of(found), self._read_record())
        return found

    def _read_record(self) -> Record | None:
        file = self._path / _RECORD
        if not file.exists():
            return None
        try:
            return parsed(json.loads(file.read_text(encoding="utf-8")))
        except ValueError:
            return None

    def _files(self) -> dict[str, Path]:
        return {file.name.removesuffix(_SUFFIX): file for file in sorted(self._path.glob(f"*{_SUFFIX}"))}

    def _exists(self) -> bool:
        return bool(self._files())

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
