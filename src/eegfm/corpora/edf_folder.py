"""Corpus for any folder of EDF or BDF files whose paths follow one pattern."""

from pathlib import Path
from typing import ClassVar

from eegfm.corpora.base import Corpus
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.corpora.label_join import Labels
from eegfm.corpora.label_table import read_labels
from eegfm.corpora.path_pattern import PathPattern
from eegfm.errors import EegfmError

_FIELDS = ("subject", "session", "task", "run")
_COLUMNS = {"task": "bids_task"}
"""Fields of a pattern whose column has another name."""


class EdfFolder(Corpus):
    """Subject, session, task and run come from the path, electrodes from their names."""

    suffixes: ClassVar[tuple[str, ...]] = (".edf", ".bdf")

    def __init__(self, config: EdfFolderCorpus, corpus: str) -> None:
        super().__init__(corpus)
        self.layout, self.reference = config.layout, config.reference
        self._labels = config.labels
        stem, suffix = config.pattern, ""
        if stem.lower().endswith(self.suffixes):
            stem, suffix = stem[:-4], stem[-4:].lower()
        self._allowed = (suffix,) if suffix else self.suffixes
        self._pattern = PathPattern(stem, _FIELDS)
        self._example = f"{stem}{suffix or self.suffixes[0]}"

    @property
    def example(self) -> str:
        """The pattern itself."""
        return self._example

    def labels(self, root: Path) -> Labels | None:
        """Labels of the configured table; see ``eegfm.corpora.label_table``."""
        return read_labels(root, self._labels) if self._labels else None

    def describe(self, path: str) -> dict[str, str] | None:
        """Read the pattern's fields off a path.

        Raises:
            EegfmError: The path fits the pattern in several ways, so the person is ambiguous.
        """
        if not path.lower().endswith(self._allowed):
            return None
        readings = self._pattern.readings(path[:-4])
        if len(readings) > 1:
            found = " or ".join(", ".join(f"{name} {value!r}" for name, value in one.items()) for one in readings)
            raise EegfmError(
                f"{self.corpus}: {path} fits corpus.pattern {self._example!r} in more than one way: {found}; write "
                "into the pattern what tells its fields apart (folders, letters of every name), or rename the files"
            )
        return {_COLUMNS.get(name, name): value for name, value in readings[0].items()} if readings else None
