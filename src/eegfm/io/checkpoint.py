"""Encoder checkpoints as catalog entries."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview

from eegfm.checkpoint import Checkpoint, load_checkpoint, read_header, save_checkpoint


class CheckpointDataset(AbstractDataset[Checkpoint, Checkpoint]):
    """One safetensors file with weights and header.

    Args:
        filepath: The file.
        metadata: Kedro's free metadata.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> Checkpoint:
        """Read weights and header."""
        return load_checkpoint(self._path)

    def save(self, data: Checkpoint) -> None:
        """Write in one step; weights that are not finite are refused."""
        save_checkpoint(self._path, data)

    def preview(self) -> JSONPreview:
        """The header without its long lists, for kedro viz."""
        header = read_header(self._path)
        short = header.model_copy(
            update={
                "persons": [f"{len(header.persons)} persons"],
                "signal_spec": {},
                "encoder_spec": {},
                "signals": [f"{len(header.signals)} recordings"],
            }
        )
        return JSONPreview(short.model_dump_json())

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
