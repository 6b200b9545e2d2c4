"""Catalog dataset of an HTML page, written whole or not at all."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from eegfm.errors import EegfmError
from eegfm.files import write_atomically


class PageDataset(AbstractDataset[str, str]):
    """One page as UTF-8, whatever the locale. No step reads it, so it has no record of its origin.

    Args:
        filepath: The file.
        metadata: Kedro's free metadata, e.g. the layer for kedro viz.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> str:
        """Read the page."""
        if not self._path.is_file():
            raise EegfmError(f"{self._path} does not exist; make it with: kedro run --pipelines=report")
        text = self._path.read_bytes().decode("utf-8", errors="replace")
        if not text.rstrip().endswith("</html>"):
            raise EegfmError(f"{self._path}: its end is missing; make it again with: kedro run --pipelines=report")
        return text

    def save(self, data: str) -> None:
        """Write the page in one step."""
        # A name that is no UTF-8 holds characters that no encoding has.
        write_atomically(self._path, data.encode("utf-8", errors="backslashreplace"))

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
