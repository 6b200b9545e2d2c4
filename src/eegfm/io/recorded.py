"""Catalog entries that carry what they were made from, inside their own files."""

from abc import abstractmethod
from typing import Any, ClassVar, Protocol, runtime_checkable

from eegfm.provenance import Record


@runtime_checkable
class Identified(Protocol):
    """An entry of which it is known what it holds."""

    def identity(self) -> str | None:
        """Identity of what is there now; None where nothing is. Contents alone decide it."""
        ...

    def identity_of(self, data: Any) -> str:
        """Identity of what will be saved."""
        ...


class Recorded:
    """Mixin for datasets whose files hold a record. Files are the truth: a record is read from where it stands.

    A run hands over the record of what it saves next. Whatever is saved without one, for instance by hand, has none
    in its file.
    """

    UNKNOWN: ClassVar[str] = "not recorded"
    """Identity of what is there without a record."""
    _next: Record | None = None

    def keep(self, record: Record) -> None:
        """Write this record with what is saved next."""
        self._next = record

    def record(self) -> Record | None:
        """What the file says it was made from; None where there is no file, or no record in it."""
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
    def _read_record(self) -> Record | None:
        """Read the record of a file that is there."""

    @abstractmethod
    def _exists(self) -> bool: ...

    def _take(self, data: Any) -> Record | None:
        """The record for what is saved now, once; none where it was handed over for something else."""
        record, self._next = self._next, None
        return record if record is not None and record.contents == self.identity_of(data) else None


def parsed(text: str | bytes | None) -> Record | None:
    """A record as it stands in a file; one of another version counts as none."""
    if text is None:
        return None
    try:
        return Record.model_validate_json(text)
    except ValueError:
        return None
