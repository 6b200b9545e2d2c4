"""Catalog dataset of metrics as JSON, written whole or not at all."""

import json
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview

from eegfm.files import write_atomically
from eegfm.io.recorded import Recorded, parsed, written
from eegfm.provenance import RECORD_KEY, Record, sha256_of


class MetricsDataset(Recorded, AbstractDataset[dict[str, Any], dict[str, Any]]):
    """Plain numbers as one JSON file; NaN and infinity are refused. Its record stands under the key ``eegfm``."""

    def load(self) -> dict[str, Any]:
        """Read the numbers."""
        return self._checked()

    def save(self, data: dict[str, Any]) -> None:
        """Write the numbers in one step."""
        record = self._take(data)
        said = {} if record is None else {RECORD_KEY: written(record)}
        write_atomically(self._path, json.dumps({**data, **said}, indent=2, allow_nan=False).encode())

    def preview(self) -> JSONPreview:
        """The file itself, for kedro viz."""
        self.check()
        return JSONPreview(self._path.read_text(encoding="utf-8"))

    def identity_of(self, data: dict[str, Any]) -> str:
        """Hash of all numbers and names."""
        return sha256_of(json.loads(json.dumps(data)))  # as it is read: numbers as keys are text then

    def check(self) -> None:
        """See ``Recorded``."""
        self._checked()

    def _read_record(self) -> Record | None:
        return parsed(self._json_object().get(RECORD_KEY))

    def _checked(self) -> dict[str, Any]:
        content = self._json_object()
        record = parsed(content.pop(RECORD_KEY, None))
        self._refuse_other_contents(self.identity_of(content), record)
        return content
