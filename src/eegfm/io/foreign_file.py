"""Catalog dataset of a file that another program wrote. Nodes pass the path."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from eegfm.errors import EegfmError
from eegfm.signal.pointers import is_there


class ForeignFileDataset(AbstractDataset[Path, Path]):
    """A file that an environment variable names. It can only be loaded.

    Args:
        filepath: The file; its last part is "NAME is not set" where the variable is not.
        variable: Name of the environment variable, for messages.
        metadata: Kedro's free metadata.
    """

    def __init__(self, *, filepath: str, variable: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self._variable = variable
        self.metadata = metadata

    def load(self) -> Path:
        """The file, which must exist."""
        self.check()
        return self._path

    def check(self) -> None:
        """Refuse a file that is not there.

        Raises:
            EegfmError: The environment variable is not set, or names no file.
        """
        if self._path.name == f"{self._variable} is not set":
            raise EegfmError(f"environment variable {self._path.name}; set it to a file, e.g. {self._variable}=FILE")
        if self._path.exists() and not self._path.is_file():
            raise EegfmError(f"{self._path}: is no regular file; {self._variable} must name a file of weights")
        if not is_there(self._path):
            raise EegfmError(f"{self._path}: no such file; {self._variable} names it")

    def save(self, data: Path) -> None:
        """Refuse: what others wrote is only read."""
        raise DatasetError(f"{self._path} is only read")

    def _exists(self) -> bool:
        return True  # load() says more of what is missing than Kedro would

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
