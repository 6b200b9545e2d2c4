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
        stem, suffix = config.pattern, ""
        if stem.lower().endswith(self.suffixes):
            stem, suffix = stem[:-4], stem[-4:].lower()
        self._allowed = (suffix,) if suffix else self.suffixes
        self._regex = pattern_to_regex(stem, _FIELDS)
        self._example = f"{stem}{suffix or self.suffixes[0]}"

    @property
    def example(self) -> str:
        """The pattern itself."""
        return self._example

    def describe(self, path: str) -> dict[str, str] | None:
        """Read the pattern's fields off a path."""
        if not path.lower().endswith(self._allowed):
            return None
        match = self._regex.fullmatch(path[:-4])
        return match.groupdict() if match else None
