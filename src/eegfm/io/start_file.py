"""Catalog dataset of the file of an encoder that an environment variable names. A training starts from it."""

import hashlib
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from eegfm.checkpoint import Checkpoint, CheckpointHeader, header_of, load_checkpoint, read_header
from eegfm.errors import CheckpointError
from eegfm.io.foreign_file import ForeignFileDataset
from eegfm.torch_header import TORCH_SUFFIXES, read_torch_texts

SUFFIXES = (".safetensors", *TORCH_SUFFIXES)


class StartFileDataset(AbstractDataset[Checkpoint, Checkpoint]):
    """An encoder of eegfm: ``.safetensors``, the same as ``.pt``, or the ``.ckpt`` of a run. It can only be loaded.

    Args:
        filepath: The file; its last part is "NAME is not set" where the variable is not.
        variable: Name of the environment variable, for messages.
        metadata: Kedro's free metadata.
    """

    def __init__(self, *, filepath: str, variable: str = "ENCODER", metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self._file = ForeignFileDataset(filepath=filepath, variable=variable)
        self._variable = variable
        self.metadata = metadata

    def load(self) -> Checkpoint:
        """Read weights and header, and compare both with their checksums."""
        self._check_path()
        if self._path.suffix == ".safetensors":
            return load_checkpoint(self._path)
        from eegfm.nn.torch_file import load_torch_checkpoint

        return load_torch_checkpoint(self._path)

    def check(self) -> None:
        """Refuse what cannot be an encoder, before torch is loaded.

        Raises:
            EegfmError: The variable is not set, or names no file.
            CheckpointError: The file has another suffix, no header, a damaged one, or one of another format.
        """
        self.header_without_torch()

    def header_without_torch(self) -> CheckpointHeader:
        """Read only the header.

        Raises:
            EegfmError: See ``check``.
        """
        self._check_path()
        if self._path.suffix == ".safetensors":
            return read_header(self._path)
        return header_of(self._path, read_torch_texts(self._path))

    def identity(self) -> str | None:
        """SHA-256 of the file, see ``eegfm.io.recorded.Identified``; None where there is none. No torch here."""
        if not self._path.is_file():
            return None
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def identity_of(self, data: Checkpoint) -> str:
        """Hash of weights and header; nothing is ever saved here."""
        return data.identity()

    def save(self, data: Checkpoint) -> None:
        """Refuse: a start is only read."""
        raise DatasetError(f"{self._path} is only read")

    def _check_path(self) -> None:
        self._file.check()
        if self._path.suffix not in SUFFIXES:
            raise CheckpointError(
                f"{self._path}: files of encoders end in {', '.join(SUFFIXES)}; {self._variable} names this one"
            )

    def _exists(self) -> bool:
        return True  # load() says more of what is missing than Kedro would

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
