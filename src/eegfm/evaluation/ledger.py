"""Book of the looks at test sets: who scored which persons, when, by which run."""

import json
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from eegfm.errors import DamageError
from eegfm.files import exclusive, write_atomically
from eegfm.provenance import sha256_of

logger = logging.getLogger(__name__)

_FILE, _LOCK = "looks.json", "lock"
_ANSWERS = ("label", "target", "targets")
_SHORT = 12
"""Digits of hashes of persons and of answers."""
_NEARLY_ALL = 0.9
"""Share of the persons in common whose answers are the same in a cut that is only renamed: windows may be cut anew."""


@dataclass(frozen=True)
class Look:
    """One scoring of a test set.

    Args:
        test_set: Name of what was tested, see ``asked_persons``.
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


@dataclass(frozen=True)
class AskedPersons:
    """A test set: persons of a corpus, and what they are asked.

    Args:
        name: A hash of all that follows but the answers.
        corpus: Name of the corpus.
        cut: Name of the cut that says what is asked.
        persons: By a short hash of each person, one of the answers of that person's windows; empty where there is none.
    """

    name: str
    corpus: str
    cut: str
    persons: dict[str, str]

    def in_common(self, other: "AskedPersons") -> set[str]:
        """Return the persons of both who are asked the same: none where the questions differ.

        The question is the same in cuts of one name, and also where nearly all persons in common have the same answers:
        a cut that is renamed asks nothing new.
        """
        both = self.persons.keys() & other.persons.keys()
        if self.corpus != other.corpus or not both:
            return set()
        n_same = sum(self.persons[name] == other.persons[name] != "" for name in both)
        return both if self.cut == other.cut or n_same >= _NEARLY_ALL * len(both) else set()


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
        return self._read()[0]

    def look(self, asked: AskedPersons, run: str, step: str, task: str, *, again: bool = False) -> int:
        """Write a look down, before the test set is scored.

        A run that is repeated says the same of the same windows. This is no new look, unless it is forced.

        Args:
            asked: The test set.
            run: See ``Look``, like all that follow.
            step: See there.
            task: See there.
            again: Whether the run looks anew, although it has looked before.

        Returns:
            How often the test set had been scored before this look: looks are counted person by person, also those at
            test sets with other persons beside them, and this is the largest count of a person of this test set.

        Raises:
            DamageError: The book cannot be read.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes that write at once would each lose the other's look.
        with exclusive(self._path.with_name(_LOCK), DamageError, self._wait):
            looks, sets = self._read()
            own = [place for place, look in enumerate(looks) if (look.test_set, look.run) == (asked.name, run)]
            if again or not own:
                date = datetime.now(UTC).isoformat(timespec="seconds")
                own.append(len(looks))
                looks.append(Look(asked.name, run, step, task, date))
                self._write(looks, sets | {asked.name: asked})
        return _n_looks(asked, looks[: own[-1]], sets)

    def _read(self) -> tuple[list[Look], dict[str, AskedPersons]]:
        """All looks, and the test sets by name.

        Books of earlier versions are lists of looks, and do not say who is in a test set.
        """
        if not self._path.exists():
            return [], {}
        try:
            book = json.loads(self._path.read_text(encoding="utf-8"))
            looks, sets = (book, {}) if isinstance(book, list) else (book["looks"], book["test_sets"])
            return [Look(**row) for row in looks], {name: AskedPersons(name, **row) for name, row in sets.items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamageError(
                f"{self._path}: not readable ({error}); it counts how often test sets were scored: put a copy back, or "
                "move it away, and scores say again that nobody has looked before"
            ) from error

    def _write(self, looks: list[Look], sets: dict[str, AskedPersons]) -> None:
        told = {one.name: {"corpus": one.corpus, "cut": one.cut, "persons": one.persons} for one in sets.values()}
        book = {"looks": [vars(look) for look in looks], "test_sets": told}
        write_atomically(self._path, (json.dumps(book, indent=1) + "\n").encode())

    def _wait(self, who: str) -> None:
        logger.info("%s: waiting for %s", self._path, who)


def _n_looks(asked: AskedPersons, looks: list[Look], sets: dict[str, AskedPersons]) -> int:
    """Largest number of looks at a person of a test set."""
    counts: Counter[str] = Counter()
    for name, n_looks in Counter(look.test_set for look in looks).items():
        # In books of earlier versions, the persons of other test sets are not known.
        others = asked.in_common(sets[name]) if name in sets else ()
        counts.update(dict.fromkeys(asked.persons if name == asked.name else others, n_looks))
    return max(counts.values(), default=0)


def asked_persons(windows: pd.DataFrame) -> AskedPersons:
    """Return the test set that windows of one cut of one corpus are.

    Args:
        windows: Columns ``corpus``, ``cut``, ``identity``, and ``label``, ``target`` or ``targets`` with answers.
    """
    [corpus], [cut] = (sorted(map(str, windows[name].unique())) for name in ("corpus", "cut"))
    identities = sorted(map(str, windows["identity"].unique()))
    columns = [name for name in _ANSWERS if name in windows and windows[name].notna().any()]
    found: dict[str, set[str]] = {name: set() for name in identities}
    for column in columns:
        known = windows[windows[column].notna()]
        for identity, answer in zip(known["identity"].astype(str), known[column], strict=True):
            found[identity].add(f"{column} {answer if isinstance(answer, str) else np.float32(answer)}")
    persons = {
        sha256_of(name)[:_SHORT]: sha256_of(sorted(said))[:_SHORT] if said else "" for name, said in found.items()
    }
    return AskedPersons(sha256_of([[corpus], [cut], identities])[:16], corpus, cut, persons)


def window_hash(windows: pd.DataFrame) -> str:
    """Return a hash of windows by recording, start and length, in their order."""
    named = windows[["recording_id", "start", "n_samples"]]
    return pd.util.hash_pandas_object(named, index=False).to_numpy().tobytes().hex()
