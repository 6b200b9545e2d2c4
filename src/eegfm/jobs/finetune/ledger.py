"""Book of the looks at test sets: who scored which persons, when, by which run."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from eegfm.errors import DamageError
from eegfm.files import write_atomically
from eegfm.provenance import sha256_of

_FILE = "looks.json"


@dataclass(frozen=True)
class Look:
    """One scoring of a test set.

    Args:
        test_set: Hash of the persons that were tested.
        run: Name of the run.
        step: Pipeline that scored.
        task: Name of the task.
        date: Date and time, UTC.
    """

    test_set: str
    run: str
    step: str
    task: str
    date: str


class Ledger:
    """All looks at test sets under one data root.

    Args:
        folder: Folder of the book.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def looks(self) -> list[Look]:
        """Return all looks, the oldest first.

        Raises:
            DamageError: The book cannot be read.
        """
        if not self._path.exists():
            return []
        try:
            return [Look(**row) for row in json.loads(self._path.read_text(encoding="utf-8"))]
        except (ValueError, TypeError) as error:
            raise DamageError(
                f"{self._path}: not readable ({error}); it counts how often test sets were scored: put a copy back, or "
                "move it away, and scores say again that nobody has looked before"
            ) from error

    def n_before(self, test_set: str, run: str) -> int:
        """Return how often a test set had been scored before the last look of a run, by others or by itself.

        A run that reads again what was said has no further look, so that it tells the same number as the first time.
        """
        looks = [look for look in self.looks() if look.test_set == test_set]
        own = [number for number, look in enumerate(looks) if look.run == run]
        return own[-1] if own else len(looks)

    def add(self, test_set: str, run: str, step: str, task: str) -> None:
        """Write a look down."""
        date = datetime.now(UTC).isoformat(timespec="seconds")
        looks = [*self.looks(), Look(test_set, run, step, task, date)]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, (json.dumps([vars(look) for look in looks], indent=1) + "\n").encode())


def test_set_of(windows: pd.DataFrame) -> str:
    """Return the name of a test set: a hash of its corpus and its persons."""
    return sha256_of([sorted(map(str, windows[name].unique())) for name in ("corpus", "identity")])[:16]
