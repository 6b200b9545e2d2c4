"""Summarise held-out predictions: pooled, per person, with intervals, and paired with controls."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from eegfm.evaluation.answers import Measure, Scored
from eegfm.evaluation.bootstrap import person_interval
from eegfm.evaluation.crossval import HeldOut
from eegfm.evaluation.linear import Floats, Ints, Rows
from eegfm.evaluation.metrics import paired_difference

OF_MEANS = "persons"
"""Key of the scores of one mean prediction per person."""


class TestedPersons(NamedTuple):
    """Windows that are predicted, and whose they are.

    Args:
        rows: (W,) True for these T windows.
        persons: (T,) person numbers among those who are tested.
        names: (P',) names of these persons.
    """

    rows: Rows
    persons: Ints
    names: tuple[str, ...]


def tested_persons(persons: Ints, names: Sequence[str], folds: Ints) -> TestedPersons:
    """Leave out who is only trained on.

    Args:
        persons: (W,) person numbers.
        names: (P,) names of the persons.
        folds: (W,) see ``eegfm.evaluation.crossval.predict_held_out``.
    """
    rows = folds >= 0
    own, numbers = np.unique(persons[rows], return_inverse=True)
    return TestedPersons(rows, numbers, tuple(names[number] for number in own))


class PersonScores:
    """Scores of one kind of features, over persons and initialisations.

    Args:
        runs: Held-out predictions, one per initialisation.
        answers: What the windows are asked for.
        persons: (W,) person numbers.
        names: (P,) names of the persons.
    """

    def __init__(self, runs: Sequence[HeldOut], answers: Scored, persons: Ints, names: Sequence[str]) -> None:
        self.answers, self.runs, self.names = answers, runs, list(names)
        by_run = [answers.sums(run.predicted, persons, len(names)) for run in runs]
        self.sums = np.stack(by_run, axis=1)  # (P, I, ...)
        of_means = [answers.sums_of_means(run.predicted, persons, len(names)) for run in runs]
        self.sums_of_means = None if of_means[0] is None else np.stack([s for s in of_means if s is not None], axis=1)

    @property
    def compared(self) -> Floats:
        """(P, I, ...) sums that features are compared by: those of persons where an answer is of the person."""
        return self.sums if self.sums_of_means is None else self.sums_of_means

    @property
    def per_person(self) -> Floats:
        """(P,) score of each person that features are compared by, averaged over initialisations."""
        return self._per_person(self.compared)

    def to_dict(self, *, n_bootstrap: int, seed: int) -> dict[str, Any]:
        """JSON-ready. ``pooled`` scores all windows at once and is averaged over initialisations.

        Where an answer is of the person, ``persons`` has the same scores of one mean prediction per person. What was
        chosen in each fold stands under the name of the option.
        """
        found = self._scores(self.sums, n_bootstrap, seed)
        if self.sums_of_means is not None:
            found[OF_MEANS] = self._scores(self.sums_of_means, n_bootstrap, seed)
        return {**found, **{name: [list(run.chosen[name]) for run in self.runs] for name in self.runs[0].chosen}}

    def _scores(self, sums: Floats, n_bootstrap: int, seed: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, measure in self.answers.measures.items():
            inits = measure(sums.sum(axis=0))
            interval = person_interval(sums, _mean_over_inits(measure), n_resamples=n_bootstrap, seed=seed)
            found[name] = {"pooled": float(inits.mean()), "interval_95": list(interval), "inits": inits.tolist()}
        own = self._per_person(sums).tolist()
        found[self.answers.measure_per_person]["per_person"] = dict(zip(self.names, own, strict=True))
        return found

    def _per_person(self, sums: Floats) -> Floats:
        scores: Floats = self.answers.measures[self.answers.measure_per_person](sums).mean(axis=1)
        return scores


def compare(scores: Mapping[str, PersonScores], *, n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Paired differences of the pretrained encoder against each control. Positive ones are in its favour.

    ``of`` says whose difference the numbers per person are; an error counts negative. Beside them stands the difference
    of the pooled scores, resampled over the same persons.
    """
    pretrained = scores["pretrained"]
    return {
        control: _difference(pretrained, other, n_bootstrap=n_bootstrap, seed=seed)
        for control, other in scores.items()
        if control != "pretrained"
    }


def _difference(first: PersonScores, second: PersonScores, *, n_bootstrap: int, seed: int) -> dict[str, Any]:
    answers = first.answers
    sign, measured = (-1.0, "-") if answers.is_error else (1.0, "")
    own, others = sign * first.per_person, sign * second.per_person
    name, measure = next(iter(answers.measures.items()))
    n_first = first.compared.shape[1]
    both = np.concatenate([first.compared, second.compared], axis=1)

    def difference(pooled: Floats) -> Floats:
        inits = measure(pooled)
        found: Floats = inits[:, :n_first].mean(axis=1) - inits[:, n_first:].mean(axis=1)
        return found

    mean_interval = person_interval(own - others, _mean(len(own)), n_resamples=n_bootstrap, seed=seed)
    return {
        "of": measured + answers.measure_per_person,
        **paired_difference(own, others, first.names),
        "interval_95": list(mean_interval),
        name: {
            "difference": float(difference(both.sum(axis=0)[None])[0]),
            "interval_95": list(person_interval(both, difference, n_resamples=n_bootstrap, seed=seed)),
        },
    }


def _mean(n_persons: int) -> Measure:
    """(R,) means of resamples of n persons, from their sums (R,)."""
    return lambda sums: sums / n_persons


def _mean_over_inits(measure: Measure) -> Measure:
    """(R,) from sums (R, I, ...)."""

    def scored(pooled: Floats) -> Floats:
        scores: Floats = measure(pooled).mean(axis=1)
        return scores

    return scored
