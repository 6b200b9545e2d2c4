"""Catalog dataset of Plotly figures, written whole or not at all, with a record of their origin."""

import json
from typing import Any

import plotly.graph_objects as go
import plotly.io
from kedro.io import AbstractDataset
from kedro_datasets._typing import PlotlyPreview

from eegfm.files import write_atomically
from eegfm.io.recorded import Recorded, parsed, written
from eegfm.provenance import RECORD_KEY, Record, sha256_of


class FigureDataset(Recorded, AbstractDataset[go.Figure, go.Figure]):
    """A Plotly figure as one JSON file; its record stands under ``layout.meta``."""

    def load(self) -> go.Figure:
        """Read the figure."""
        return plotly.io.from_json(json.dumps(self._checked()))

    def save(self, data: go.Figure) -> None:
        """Write the figure in one step."""
        content, record = _plain(data), self._take(data)
        if record is not None:
            content["layout"]["meta"] = {RECORD_KEY: written(record)}
        write_atomically(self._path, json.dumps(content).encode())

    def preview(self) -> PlotlyPreview:
        """The figure, for kedro viz."""
        return PlotlyPreview(self._checked())

    def identity_of(self, data: go.Figure) -> str:
        """Hash of all that the figure shows."""
        return sha256_of(_plain(data))

    def check(self) -> None:
        """See ``Recorded``."""
        self._checked()

    def _read_record(self) -> Record | None:
        return self._content()[1]

    def _checked(self) -> dict[str, Any]:
        content, record = self._content()
        self._refuse_other_contents(sha256_of(content), record)
        return content

    def _content(self) -> tuple[dict[str, Any], Record | None]:
        """The figure as plain data, and its record."""
        content = self._json_object()
        meta = _pop_meta(content)
        return content, parsed(meta.get(RECORD_KEY)) if isinstance(meta, dict) else None


def _plain(figure: go.Figure) -> dict[str, Any]:
    """A figure as plain data, without the place in which a record stands."""
    content: dict[str, Any] = json.loads(figure.to_json())
    _pop_meta(content)
    return content


def _pop_meta(content: dict[str, Any]) -> Any:
    layout = content.get("layout")
    return layout.pop("meta", None) if isinstance(layout, dict) else None
