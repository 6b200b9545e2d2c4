"""Check for leakage, last before weights or scores are made: each window's person must be in the allowed split."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.batch import WindowIndex
from eegfm.errors import SplitError
from eegfm.splits.persons import some
from eegfm.splits.shared_signals import short_texts
from eegfm.splits.splits import COLUMNS, check_splits, splits_sha256

TRAINED = ("train", "validation")
Groups = Mapping[str, Sequence[WindowIndex]]


class Seen(NamedTuple):
    """Persons and signals that a model was trained on, in names that are stable between runs.

    Args:
        persons: Sorted keys of all names of each person.
        signals: Sorted short hashes, a few for each recording of these persons.
    """

    persons: list[list[str]]
    signals: list[str]


class Met(NamedTuple):
    """Test persons and recordings that a model was trained on.

    Args:
        persons: Sorted identities with a name or signal that the model was trained on.
        recordings: Sorted recordings with a signal that the model was trained on, under whatever name.
    """

    persons: list[str]
    recordings: list[str]


class _True(NamedTuple):
    """Person, identity and split of one recording."""

    person: str
    identity: str
    split: str


class SplitTable:
    """The splits table, and checks of windows against it.

    The recording decides a window's person and split. The splits table says whose recording it is. The window's own row
    is not trusted.

    Args:
        splits: Columns of ``eegfm.splits.splits.COLUMNS``.

    Raises:
        SplitError: The table contradicts itself.
    """

    def __init__(self, splits: pd.DataFrame) -> None:
        check_splits(splits)
        missing = [name for name in COLUMNS if name not in splits]
        if missing:
            raise SplitError(f"the splits table has no column {', '.join(missing)}; split again")
        self._splits = splits

    @cached_property
    def sha256(self) -> str:
        """Hash of the identities with their splits and folds."""
        return splits_sha256(self._splits)

    @cached_property
    def _by_recording(self) -> dict[str, _True]:
        """Person, identity and split by recording."""
        columns = ("recordings", "person", "identity", "split")
        rows = zip(*(self._splits[name].tolist() for name in columns), strict=True)
        return {str(name): _True(*true) for recordings, *true in rows for name in recordings}

    def check_training(self, mixture: pd.DataFrame, what: str = "the mixture") -> None:
        """Refuse a mixture that draws from persons who may not be trained on.

        No person, under whatever name, and no recording may be both trained on and validated on. No person of split
        ``test`` or ``excluded`` may be trained or validated on.

        Args:
            mixture: Columns recording_id, person, split, and identity where it is known.
            what: Name of these windows, for messages.

        Raises:
            SplitError: With the first persons concerned.
        """
        named = sorted(set(mixture["split"]))
        if not set(named) <= set(TRAINED):
            raise SplitError(f"{what} names splits {named}; known: {', '.join(TRAINED)}")
        rows = self._resolved(mixture, what, ["split"])
        held_out = [true for true, _ in rows if true.split not in TRAINED]
        if held_out:
            raise SplitError(
                f"{what} trains on {_persons(held_out)}, kept out of training in split "
                f"{' and '.join(sorted({true.split for true in held_out}))}; mix again, and edit neither table by hand"
            )
        moved = [true for true, (split,) in rows if true.split != split]
        if moved:
            raise SplitError(
                f"{what} has {_persons(moved)} in another split than the splits table, so that one person would "
                "be trained on and validated on; mix again"
            )

    def check_test(self, windows: pd.DataFrame) -> None:
        """Refuse test windows of persons outside split ``test``.

        Args:
            windows: Columns recording_id, person, and identity where it is known.

        Raises:
            SplitError: With the first persons concerned.
        """
        trained = [true for true, _ in self._resolved(windows, "windows to test on", []) if true.split != "test"]
        if trained:
            found = " and ".join(sorted({true.split for true in trained}))
            raise SplitError(f"{_persons(trained)} would be tested on, but are in split {found}; cut and split again")

    def seen(self, recording_ids: Iterable[str]) -> Seen:
        """All names and signals of the persons of these recordings."""
        rows = self._of_persons(recording_ids)
        shorts = {short for signals in rows["signals"] for own in signals for short in own.split()}
        return Seen(sorted(_distinct(keys) for _, keys in rows.groupby("identity")["keys"]), sorted(shorts))

    def met(self, recording_ids: Iterable[str], seen: Seen, hashes: Mapping[str, Sequence[str]]) -> Met:
        """Find the persons of these recordings that were seen in training, by any of their names or signals.

        Args:
            recording_ids: Recordings to test on.
            seen: Persons and signals from another run, for example from the header of a checkpoint.
            hashes: Hashes of all channels, by recording. One known channel makes the signal known.
        """
        persons, signals = {key for keys in seen.persons for key in keys}, set(seen.signals)
        known, recordings = set(), set()
        rows = self._of_persons(recording_ids)
        columns = zip(rows["identity"], rows["keys"], rows["recordings"], rows["signals"], strict=True)
        for identity, keys, names, shorts in columns:
            own = zip(names, shorts, strict=True)
            same = {n for n, s in own if not signals.isdisjoint({*s.split(), *short_texts(hashes.get(n, ()))})}
            recordings |= same
            if same or not persons.isdisjoint(keys):
                known.add(str(identity))
        return Met(sorted(known), sorted(recordings))

    def recordings_of(self, split: str) -> list[str]:
        """All recordings of the persons of a split."""
        rows = self._splits[self._splits["split"] == split]
        return [str(name) for names in rows["recordings"] for name in names]

    def reasons(self, identities: Iterable[str]) -> list[str]:
        """List why some identities are in their splits, each reason once. What joined the names of one is left out."""
        own = self._splits[self._splits["identity"].isin({*identities})]
        return sorted({str(reason).partition(";")[0] for reason in own["reason"]})

    def kept_out(self) -> dict[str, list[str]]:
        """Identities that are not trained on, by reason."""
        rows = self._splits[~self._splits["split"].isin(TRAINED)]
        return {str(reason): sorted(set(of["identity"])) for reason, of in rows.groupby("reason")}

    def _of_persons(self, recording_ids: Iterable[str]) -> pd.DataFrame:
        """All rows of the identities of these recordings."""
        identities = {self._by_recording[name].identity for name in set(recording_ids)}
        return self._splits[self._splits["identity"].isin(identities)]

    def _resolved(self, windows: pd.DataFrame, what: str, columns: list[str]) -> list[tuple[_True, tuple[str, ...]]]:
        """True facts of each recording beside the columns of its windows, each combination once.

        Raises:
            SplitError: A recording is unknown, or its windows name another person.
        """
        said = ["person", "identity"] if "identity" in windows else ["person"]
        rows = list(windows[["recording_id", *said, *columns]].drop_duplicates().itertuples(index=False, name=None))
        unknown = sorted({row[0] for row in rows} - set(self._by_recording))
        if unknown:
            raise SplitError(f"{what}: {len(unknown)} recordings are in no split: {some(unknown)}; split again")
        resolved = [(self._by_recording[row[0]], row) for row in rows]
        for place, name in enumerate(said, start=1):
            wrong = {row[0]: getattr(true, name) for true, row in resolved if getattr(true, name) != row[place]}
            if wrong:
                raise SplitError(
                    f"{what}: {len(wrong)} recordings are of another {name} than said: "
                    f"{some(f'{recording} is of {owner}' for recording, owner in sorted(wrong.items()))}; "
                    "cut, split and mix again"
                )
        return [(true, row[1 + len(said) :]) for true, row in resolved]


def check_rows(training: Groups, validation: Groups) -> None:
    """Refuse windows that address the same samples for training and for validation.

    Args:
        training: Training windows by corpus, as addresses in the store.
        validation: Validation windows by corpus, likewise.

    Raises:
        SplitError: With the corpus and the montage.
    """
    for corpus in sorted(set(training) & set(validation)):
        for montage in sorted({group.montage for group in training[corpus]}):
            one, other = _extents(training[corpus], montage), _extents(validation[corpus], montage)
            if _overlap(one, other):
                raise SplitError(
                    f"{corpus}, montage {montage}: windows to train on and to validate on share samples of the store; "
                    "cut and mix again"
                )


def _extents(groups: Sequence[WindowIndex], montage: str) -> NDArray[np.int64]:
    """(R, 2) first row, and one past the last row, of each run of one montage."""
    parts = [np.empty((0, 2), dtype=np.int64)]
    for group in groups:
        if group.montage == montage:
            n_windows = (
                np.ones(len(group.first_rows), np.int64) if group.ends is None else np.diff(group.ends, prepend=0)
            )
            stops = group.first_rows + (n_windows - 1) * group.stride + group.n_samples
            parts.append(np.stack([group.first_rows, stops], axis=1))
    return np.concatenate(parts)


def _overlap(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    """True if an interval of one set overlaps an interval of the other. Intervals of one set may overlap each other."""
    if not len(one) or not len(other):
        return False
    starts, stops = np.sort(other[:, 0]), np.sort(other[:, 1])
    # Count the intervals of the other set that begin before mine ends, minus those that end before mine begins.
    n_begun = np.searchsorted(starts, one[:, 1], side="left")
    n_ended = np.searchsorted(stops, one[:, 0], side="right")
    return bool((n_begun > n_ended).any())


def _persons(found: Iterable[_True]) -> str:
    names = sorted({true.person for true in found})
    return f"{len(names)} persons ({some(names)})"


def _distinct(lists: "pd.Series[list[str]]") -> list[str]:
    return sorted({str(value) for values in lists for value in values if value})
