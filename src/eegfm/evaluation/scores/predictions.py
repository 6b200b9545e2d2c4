"""Hold what a model says of windows, beside the true answers and the names that windows go by."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.linear import Ints
from eegfm.metrics.scoring.answered import known_answers
from eegfm.targets import TargetSpec

Names = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ScoredPredictions:
    """Predictions for W windows that a model was not trained on.

    Args:
        target: What the windows are asked for.
        probabilities: What the model says, see ``eegfm.targets``.
        truths: The true answers, see there.
        persons: (W,) name of the person of each window; one name is one person.
        recordings: (W,) name of the recording of each window. A recording has one person.
        starts: (W,) first sample of each window in its recording.
    """

    target: TargetSpec
    probabilities: NDArray[Any]
    truths: NDArray[Any]
    persons: Names
    recordings: Names
    starts: Ints

    def __post_init__(self) -> None:
        n_windows = {len(values) for values in (self.truths, self.probabilities, *self._names)}
        assert len(n_windows) == 1, f"columns of {n_windows} windows"
        owners = np.unique([self.recording_numbers, self.person_numbers], axis=1).shape[1]
        assert owners == self.n_recordings, "a recording has one person"

    def at(self, rows: NDArray[Any]) -> Self:
        """Return the predictions for some windows, by positions or by a mask."""
        persons, recordings, starts = (values[rows] for values in self._names)
        return replace(
            self,
            probabilities=self.probabilities[rows],
            truths=self.truths[rows],
            persons=persons,
            recordings=recordings,
            starts=starts,
        )

    def answered(self) -> Self:
        """Return the windows that have a known answer, by recording and start."""
        rows = np.flatnonzero(known_answers(self.target, self.truths).any(axis=1))
        return self.at(rows[np.lexsort((self.starts[rows], self.recording_numbers[rows]))])

    @cached_property
    def person_names(self) -> list[str]:
        """Names of the P persons, in their order."""
        return [str(name) for name in self._by_person[0]]

    @property
    def person_numbers(self) -> Ints:
        """(W,) number of the person."""
        return self._by_person[1]

    @property
    def recording_numbers(self) -> Ints:
        """(W,) number of the recording."""
        return self._by_recording[1]

    @property
    def n_persons(self) -> int:
        """P."""
        return len(self._by_person[0])

    @property
    def n_recordings(self) -> int:
        """Number of recordings."""
        return len(self._by_recording[0])

    @property
    def _names(self) -> tuple[Names, Names, Ints]:
        return self.persons, self.recordings, self.starts

    @cached_property
    def _by_person(self) -> tuple[Names, Ints]:
        return _numbered(self.persons)

    @cached_property
    def _by_recording(self) -> tuple[Names, Ints]:
        return _numbered(self.recordings)


def _numbered(names: Names) -> tuple[Names, Ints]:
    """The distinct names in their order, and the number of each name among them."""
    distinct, numbers = np.unique(np.asarray(names, dtype=np.str_), return_inverse=True)
    return distinct, numbers.astype(np.int64)
