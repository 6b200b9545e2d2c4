"""Base of catalog datasets that keep a record of their origin inside their own files."""

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Protocol, runtime_checkable

from eegfm.errors import EegfmError, LineageError
from eegfm.provenance import Record, sha256_of

_SHA256_KEY = "sha256"


@runtime_checkable
class Identified(Protocol):
    """A catalog entry whose contents have an identity."""

    def identity(self) -> str | None:
        """Hash of what is there now; None where nothing is. Contents alone decide it."""
        ...

    def identity_of(self, data: Any) -> str:
        """Hash that ``identity`` will give once this is saved."""
        ...


class Recorded:
    """Base of datasets of one file that holds a record. Files are the truth: a record is read from where it stands.

    A run hands over the record of what it saves next. Whatever is saved without one, for instance by hand, has none
    in its file. A dataset inherits from this class first, then from Kedro's ``AbstractDataset``.

    Args:
        filepath: The file.
        metadata: Kedro's free metadata, e.g. the layer for kedro viz.
    """

    UNKNOWN: ClassVar[str] = "not recorded"
    """Identity of what is there without a record."""
    command: str = "kedro run"
    """Makes the file anew, for messages. A run names its own."""
    _next: Record | None = None

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def keep(self, record: Record) -> None:
        """Write this record with what is saved next."""
        self._next = record

    def record(self) -> Record | None:
        """Record in the file; None if there is no file or no record."""
        return self._read_record() if self._exists() else None

    def identity(self) -> str | None:
        """See ``Identified``."""
        if not self._exists():
            return None
        record = self._read_record()
        return self.UNKNOWN if record is None else record.contents

    @abstractmethod
    def identity_of(self, data: Any) -> str:
        """See ``Identified``."""

    @abstractmethod
    def check(self) -> None:
        """Compare what the file holds with what it says that it holds, as every load does.

        Raises:
            LineageError: The file is damaged or was changed by hand.
            CheckpointError: The same of an encoder.
        """

    @abstractmethod
    def _read_record(self) -> Record | None:
        """Read the record of an existing file."""

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}

    def _bytes(self) -> bytes:
        """Read the whole file, which must exist."""
        if not self._path.is_file():
            raise EegfmError(f"{self._path} does not exist; run the pipeline that makes it first")
        return self._path.read_bytes()

    def _refuse(self, why: str) -> NoReturn:
        raise LineageError(f"{self._path}: {why}; make it again with: {self.command}")

    def _json_object(self) -> dict[str, Any]:
        """Read a JSON file of names and values."""
        try:
            content = json.loads(self._bytes().decode("utf-8"))
        except ValueError as error:
            self._refuse(f"damaged: not readable as JSON ({error})")
        if not isinstance(content, dict):
            self._refuse(f"damaged: holds {type(content).__name__} and no table of names and values")
        return content

    def _refuse_other_contents(self, identity: str, record: Record | None) -> None:
        """Refuse contents that differ from the record. Contents without a record cannot be checked."""
        if record is not None and record.contents != identity:
            self._refuse("damaged or changed by hand: it holds something else than its record says")

    def _take(self, data: Any) -> Record | None:
        """The record for what is saved now, once; none where it was handed over for something else."""
        record, self._next = self._next, None
        return record if record is not None and record.contents == self.identity_of(data) else None


def written(record: Record) -> dict[str, Any]:
    """Make of a record what stands in a file: plain data with a checksum of its own."""
    content = record.model_dump(mode="json")
    return {**content, _SHA256_KEY: sha256_of(content)}


def parsed(content: Any) -> Record | None:
    """Read a record as ``written`` makes it; None for one of another version and for a damaged one."""
    if not isinstance(content, dict):
        return None
    said = {key: value for key, value in content.items() if key != _SHA256_KEY}
    if content.get(_SHA256_KEY) != sha256_of(said):
        return None
    try:
        return Record.model_validate_json(json.dumps(said))
    except ValueError:
        return None
