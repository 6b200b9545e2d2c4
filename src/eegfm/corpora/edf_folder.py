"""Any folder of EDF or BDF files whose paths follow one pattern."""

from typing import ClassVar

from eegfm.corpora.base import Corpus, pattern_to_regex
from eegfm.corpora.config import EdfFolderCorpus

_FIELDS = ("subject", "session", "task", "run")


class EdfFolder(Corpus):
    """Subject, session, task and run come from the path, electrodes from their 10-05 names."""

    suffixes: ClassVar[tuple[str, ...]] = (".edf", ".bdf")

    def __init__(self, config: EdfFolderCorpus, corpus: str) -> None:
        super().__init__(corpus)
        self.reference = config.reference
        self._pattern = config.pattern
        self._regex = pattern_to_regex(config.pattern, _FIELDS)

    @property
    def example(self) -> str:
        """The pattern itself."""
        return self._pattern

    def describe(self, path: str) -> dict[str, str] | None:
        """Read the pattern's fields off a path."""
        match = self._regex.fullmatch(path)
        return match.groupdict() if match else None
