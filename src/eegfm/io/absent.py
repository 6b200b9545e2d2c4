"""Catalog dataset of something that a step can do without."""

from typing import Any

from kedro.io import AbstractDataset, DatasetError


class AbsentDataset(AbstractDataset[None, None]):
    """An entry that a run leaves out: the step that reads it gets None."""

    def load(self) -> None:
        """Return None."""

    def save(self, data: None) -> None:
        """Refuse: nothing makes it."""
        raise DatasetError("an entry that a run leaves out cannot be an output of the run")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}
