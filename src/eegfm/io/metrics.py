"""Metrics as JSON that is written whole or not at all."""

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview

from eegfm.errors import EegfmError
from eegfm.files import write_atomically


class MetricsDataset(AbstractDataset[dict[str, Any], dict[str, Any]]):
    """Plain numbers as one JSON file; NaN and infinity are refused.

    Args:
        filepath: The file.
        metadata: Kedro's free metadata.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """Read the numbers."""
        if not self._path.is_file():
            raise EegfmError(f"{self._path} does not exist; run the pipeline that makes it first")
        loaded: dict[str, Any] = json.loads(self._path.read_text())
        return loaded

    def save(self, data: dict[str, Any]) -> None:
        """Write the numbers in one step."""
        write_atomically(self._path, json.dumps(data, indent=2, allow_nan=False).encode())

    def preview(self) -> JSONPreview:
        """The file itself, for kedro viz."""
        return JSONPreview(self._path.read_text())

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
