"""Parquet tables that are written whole or not at all."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from eegfm.errors import EegfmError
from eegfm.files import write_atomically


class TableDataset(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """A pandas table as one Parquet file.

    Args:
        filepath: The file.
        metadata: Kedro's free metadata, e.g. the layer for kedro viz.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Read the table."""
        if not self._path.is_file():
            raise EegfmError(f"{self._path} does not exist; run the pipeline that makes it first")
        return pd.read_parquet(self._path)

    def save(self, data: pd.DataFrame) -> None:
        """Write the table in one step."""
        buffer = io.BytesIO()
        data.to_parquet(buffer, index=False)
        write_atomically(self._path, buffer.getvalue())

    def preview(self, nrows: int = 20) -> TablePreview:
        """First rows for kedro viz."""
        return TablePreview(pd.read_parquet(self._path).head(nrows).astype("str").to_dict(orient="split"))

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
