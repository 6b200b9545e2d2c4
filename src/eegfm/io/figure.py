"""Plotly figures that are written whole or not at all, with what they were made from."""

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io
from kedro.io import AbstractDataset
from kedro_datasets._typing import PlotlyPreview

from eegfm.errors import EegfmError
from eegfm.files import write_atomically
from eegfm.io.recorded import Recorded, parsed
from eegfm.provenance import RECORD_KEY, Record, sha256_of


class FigureDataset(Recorded, AbstractDataset[go.Figure, go.Figure]):
    """A Plotly figure as one JSON file; its record stands under ``layout.meta``.

    Args:
        filepath: The file.
        metadata: Kedro's free metadata.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> go.Figure:
        """Read the figure."""
        if not self._path.is_file():
            raise EegfmError(f"{self._path} does not exist; run the pipeline that makes it first")
        figure = plotly.io.from_json(self._path.read_text(encoding="utf-8"))
        figure.layout.meta = None
        return figure

    def save(self, data: go.Figure) -> None:
        """Write the figure in one step."""
        content, record = json.loads(data.to_json()), self._take(data)
        if record is not None:
            content["layout"]["meta"] = {RECORD_KEY: record.model_dump_json()}
        write_atomically(self._path, json.dumps(content).encode())

    def preview(self) -> PlotlyPreview:
        """The figure, for kedro viz."""
        return PlotlyPreview(json.loads(self._path.read_text(encoding="utf-8")))

    def identity_of(self, data: go.Figure) -> str:
        """Hash of all that the figure shows."""
        return sha256_of(json.loads(data.to_json()))

    def _read_record(self) -> Record | None:
        meta = json.loads(self._path.read_bytes()).get("layout", {}).get("meta")
        return parsed(meta.get(RECORD_KEY)) if isinstance(meta, dict) else None

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
