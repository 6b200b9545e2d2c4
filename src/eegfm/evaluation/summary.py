"""Summarise held-out predictions: pooled, per person, with intervals, and paired with controls."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eegfm.evaluation.bootstrap import person_interval
from eegfm.evaluation.crossval import HeldOut
from eegfm.evaluation.linear import Floats, Ints
from eegfm.evaluation.metrics import balanced_accuracy, confusions_by_person, paired_difference


class PersonScores:
    """Balanced accuracy of one kind of features, over persons and initialisations.

    Args:
        runs: Held-out predictions, one per initialisation.
        truth: (W,) class numbers.
        persons: (W,) person numbers.
        names: (P,) names of the persons.
        n_classes: K.
    """

    def __init__(
        self, runs: Sequence[HeldOut], truth: Ints, persons: Ints, names: Sequence[str], n_classes: int
    ) -> None:
        tables = [confusions_by_person(persons, len(names), truth, r.predicted, n_classes) for r in runs]
        self.confusions = np.stack(tables, axis=1)  # (P, I, K, K)
        self.runs, self.names = runs, list(names)

    @property
    def per_person(self) -> Floats:
        """(P,) balanced accuracy of each person, averaged over initialisations."""
        scores: Floats = balanced_accuracy(self.confusions).mean(axis=1)
        return scores

    def to_dict(self, *, n_bootstrap: int, seed: int) -> dict[str, Any]:
        """JSON-ready. ``pooled`` scores all windows at once and is averaged over initialisations."""
        inits = balanced_accuracy(self.confusions.sum(axis=0))
        interval = person_interval(self.confusions, _mean_over_inits, n_resamples=n_bootstrap, seed=seed)
        return {
            "balanced_accuracy": {
                "pooled": float(inits.mean()),
                "interval_95": list(interval),
                "per_person": dict(zip(self.names, self.per_person.tolist(), strict=True)),
                "inits": inits.tolist(),
            },
            "lambdas": [list(run.lambdas) for run in self.runs],
        }


def compare(scores: Mapping[str, PersonScores]) -> dict[str, Any]:
    """Paired differences of the pretrained encoder against each control."""
    pretrained = scores["pretrained"]
    return {
        control: paired_difference(pretrained.per_person, other.per_person, pretrained.names)
        for control, other in scores.items()
        if control != "pretrained"
    }


def _mean_over_inits(pooled: Floats) -> Floats:
    """(R,) from confusions (R, I, K, K)."""
    scores: Floats = balanced_accuracy(pooled).mean(axis=1)
    return scores
