"""Catalog dataset of encoder checkpoints."""

import json
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import JSONPreview

from eegfm.checkpoint import Checkpoint, CheckpointHeader, load_checkpoint, read_header, save_checkpoint
from eegfm.errors import CheckpointError, DamageError
from eegfm.io.recorded import Recorded
from eegfm.provenance import Record


class CheckpointDataset(Recorded, AbstractDataset[Checkpoint, Checkpoint]):
    """One safetensors file with weights and header, in which the record stands.

    ``may_replace`` says whether imported weights may replace trained ones; a run sets it.
    """

    may_replace: bool = False

    def load(self) -> Checkpoint:
        """Read weights and header."""
        return self._checked()

    def save(self, data: Checkpoint) -> None:
        """Write in one step; weights that are not finite are refused, and imported ones in place of trained ones."""
        if data.header.imported and self._path.exists() and not self.is_imported() and not self.may_replace:
            raise CheckpointError(
                f"{self._path}: holds an encoder that was pretrained here, or one that is not readable; imported "
                "weights do not replace it: write elsewhere with --params=model=NAME or --params=data=FOLDER"
            )
        save_checkpoint(self._path, data.with_record(self._take(data)))

    def header(self) -> CheckpointHeader:
        """Read only the header."""
        with self._naming_command():
            return read_header(self._path)

    def is_imported(self) -> bool:
        """True if weights lie there that were trained elsewhere, as far as the file can be read."""
        try:
            return read_header(self._path).imported is not None
        except CheckpointError:
            return False

    def check(self) -> None:
        """See ``Recorded``."""
        self._checked()

    def preview(self) -> JSONPreview:
        """The header without its long lists, for kedro viz."""
        header = self.header()
        seen = {"persons": _counted(header.persons, "persons"), "signals": _counted(header.signals, "recordings")}
        short = header.model_dump(mode="json") | seen | {"signal_spec": {}, "encoder_spec": {}, "record": None}
        return JSONPreview(json.dumps(short))

    def identity_of(self, data: Checkpoint) -> str:
        """Hash of weights and header."""
        return data.identity()

    def _read_record(self) -> Record | None:
        return self.header().record

    def _checked(self) -> Checkpoint:
        with self._naming_command():
            return load_checkpoint(self._path)

    @contextmanager
    def _naming_command(self) -> Iterator[None]:
        try:
            yield
        except DamageError as error:
            raise DamageError(f"{error}; make it again with: {self.command}") from error


class EncoderFileDataset(AbstractDataset[Path, Path]):
    """The file of an encoder, which exists or not, for steps that must not replace another one. It can only be loaded.

    Args:
        filepath: The file.
        metadata: Kedro's free metadata.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """The file, whether it exists yet or not."""
        return self._path

    def save(self, data: Path) -> None:
        """Refuse: the entry of the encoder saves it."""
        raise DatasetError(f"{self._path} is only looked at here")

    def preview(self) -> JSONPreview:
        """See ``CheckpointDataset``."""
        return CheckpointDataset(filepath=str(self._path)).preview()

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


def _counted(names: Sized | None, what: str) -> list[str] | None:
    return None if names is None else [f"{len(names)} {what}"]
