"""Book of the looks at test sets: who scored which persons, when, by which run."""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from eegfm.errors import DamageError
from eegfm.files import exclusive, write_atomically
from eegfm.provenance import sha256_of

logger = logging.getLogger(__name__)

_FILE, _LOCK = "looks.json", "lock"


@dataclass(frozen=True)
class Look:
    """One scoring of a test set.

    Args:
        test_set: Name of what was tested, see ``test_set_of``.
        run: Name of the run: a hash of all that decides its predictions.
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

    def look(self, test_set: str, run: str, step: str, task: str, *, again: bool = False) -> int:
        """Write a look down, before the test set is scored.

        A run that is repeated says the same of the same windows. This is no new look, unless it is forced.

        Args:
            test_set: See ``Look``, like all that follow.
            run: See there.
            step: See there.
            task: See there.
            again: Whether the run looks anew, although it has looked before.

        Returns:
            How often the test set had been scored before this look.

        Raises:
            DamageError: The book cannot be read.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes that write at once would each lose the other's look.
        with exclusive(self._path.with_name(_LOCK), DamageError, self._wait):
            looks = self.looks()
            own = [place for place, look in enumerate(looks) if (look.test_set, look.run) == (test_set, run)]
            if again or not own:
                date = datetime.now(UTC).isoformat(timespec="seconds")
                own.append(len(looks))
                looks.append(Look(test_set, run, step, task, date))
                write_atomically(self._path, (json.dumps([vars(look) for look in looks], indent=1) + "\n").encode())
        return sum(look.test_set == test_set for look in looks[: own[-1]])

    def _wait(self, who: str) -> None:
        logger.info("%s: waiting for %s", self._path, who)


def test_set_of(windows: pd.DataFrame) -> str:
    """Return the name of a test set: a hash of its corpus, of the cut that says what is asked, and of its persons."""
    return sha256_of([sorted(map(str, windows[name].unique())) for name in ("corpus", "cut", "identity")])[:16]


def window_hash(windows: pd.DataFrame) -> str:
    """Return a hash of windows by recording, start and length, in their order."""
    named = windows[["recording_id", "start", "n_samples"]]
    return pd.util.hash_pandas_object(named, index=False).to_numpy().tobytes().hex()
