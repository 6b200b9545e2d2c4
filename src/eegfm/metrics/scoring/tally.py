"""Sums of each person that all metrics of a target are computed from, for any weights of the persons at once.

Shapes: W windows, P persons, R weightings, K outputs, C classes.
"""

from collections.abc import Collection
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eegfm.metrics.names import CLASS_METRICS, N_LEFT_OUT, metric_names
from eegfm.metrics.scoring.answered import Output, outputs_of
from eegfm.metrics.scoring.confusions import Confusions
from eegfm.metrics.scoring.curves import Areas, Ranking
from eegfm.metrics.scoring.numbers import NUMBER_SCORES, Numbers, number_sums
from eegfm.metrics.scoring.ratios import Floats, Ints, mean_of_known, ratio
from eegfm.targets import Kind, TargetSpec

N_BINS = 15
"""Bins of confidence of the expected calibration error."""

_OF_CURVES = {"auroc", "auprc", N_LEFT_OUT}
_OF_BINS = {"brier", "ece"}


class Tally(Protocol):
    """Counts and sums that are needed of windows to score any choice of their persons."""

    def scores(self, weights: Floats, names: Collection[str]) -> dict[str, Floats]:
        """Return (R,) scores by name; NaN where a score is not defined.

        Args:
            weights: (R, P) how often each person counts.
            names: Names of the scores, see ``eegfm.metrics.names``.
        """


def tally(
    target: TargetSpec,
    probabilities: NDArray[np.generic],
    truths: NDArray[np.generic],
    persons: Ints,
    n_persons: int,
) -> Tally:
    """Count answered windows by person.

    Args:
        target: What the windows are asked for.
        probabilities: What a model says, see ``eegfm.targets``.
        truths: The true answers, see there; unknown ones are left out.
        persons: (W,) person numbers.
        n_persons: P.

    Raises:
        TrainingError: A prediction of an answered window is not finite.
    """
    outputs = outputs_of(target, probabilities, truths)
    if target.kind == "regression":
        return _NumberTally(outputs, persons, n_persons)
    return _ClassTally(target.kind, outputs, persons, n_persons)


def point_scores(
    target: TargetSpec, probabilities: NDArray[np.generic], truths: NDArray[np.generic]
) -> dict[str, float]:
    """Return the metrics of all windows together; NaN where a metric is not defined. For arguments see ``tally``."""
    whole = tally(target, probabilities, truths, np.zeros(len(truths), dtype=np.int64), 1)
    return {name: float(value[0]) for name, value in whole.scores(np.ones((1, 1)), metric_names(target)).items()}


class _NumberTally:
    def __init__(self, outputs: tuple[Output, ...], persons: Ints, n_persons: int) -> None:
        sums = [
            number_sums(o.truths.astype(np.float64), o.probabilities[:, 0], persons[o.rows], n_persons) for o in outputs
        ]
        self.sums = np.stack(sums, axis=1)

    def scores(self, weights: Floats, names: Collection[str]) -> dict[str, Floats]:
        """See ``Tally``."""
        numbers = Numbers(_weighted(weights, self.sums))
        return {name: NUMBER_SCORES[name](numbers) for name in names}


class _ClassTally:
    """Tally of classes.

    Args:
        kind: Kind of the target.
        outputs: Answered windows of each output.
        persons: (W,) person numbers.
        n_persons: P.
    """

    def __init__(self, kind: Kind, outputs: tuple[Output, ...], persons: Ints, n_persons: int) -> None:
        self.kind, self.outputs, self.persons = kind, outputs, persons
        own = [(o, persons[o.rows]) for o in outputs]
        self.confusions = np.stack([_confusions(o, who, n_persons) for o, who in own], axis=1)
        self.squares = np.stack([_brier_sums(o, who, n_persons, kind) for o, who in own], axis=1)
        self.bins = np.stack([_bin_sums(o, who, n_persons) for o, who in own], axis=1)

    def scores(self, weights: Floats, names: Collection[str]) -> dict[str, Floats]:
        """See ``Tally``."""
        confusions = Confusions(_weighted(weights, self.confusions), self.kind)
        found = {name: getattr(confusions, name)() for name in names if name not in _OF_CURVES | _OF_BINS}
        if _OF_BINS & set(names):
            n = confusions.total
            found["brier"] = mean_of_known(ratio(_weighted(weights, self.squares), n))
            gaps = np.abs(_weighted(weights, self.bins)).sum(axis=-1)
            found["ece"] = mean_of_known(ratio(gaps, n))
        if _OF_CURVES & set(names):
            found |= self._areas(weights)
        assert found.keys() <= {*CLASS_METRICS, N_LEFT_OUT}
        return {name: found[name] for name in names}

    @cached_property
    def rankings(self) -> list[list[Ranking]]:
        """By output, a ranking by each class that is asked for; of two classes, by the second one alone."""
        n_persons = len(self.confusions)
        return [
            [Ranking.of(o.probabilities[:, c], o.truths == c, self.persons[o.rows], n_persons) for c in self._ranked]
            for o in self.outputs
        ]

    @property
    def _ranked(self) -> range:
        n_classes = self.confusions.shape[-1]
        return range(1, 2) if n_classes == 2 else range(n_classes)

    def _areas(self, weights: Floats) -> dict[str, Floats]:
        """AUROC and AUPRC: mean over the classes, each against all others, then over outputs.

        Classes that do not occur, or that all windows have, are left out; so are outputs that have no area. Their
        number is ``n_left_out``: classes of a binary or multiclass target, otherwise outputs.
        """
        by_output = [[ranking.areas(weights) for ranking in of_output] for of_output in self.rankings]
        columns = (np.stack([[areas[i] for areas in row] for row in by_output]) for i in range(2))
        areas = Areas(*(np.moveaxis(column, -1, 0) for column in columns))  # (R, K, classes)
        unknown = np.isnan(areas.auroc)
        left_out = unknown[:, 0] if self.kind in ("binary", "multiclass") else unknown.all(axis=-1)
        return {
            "auroc": mean_of_known(mean_of_known(areas.auroc)),
            "auprc": mean_of_known(mean_of_known(areas.auprc)),
            N_LEFT_OUT: left_out.sum(axis=-1).astype(np.float64),
        }


def _weighted(weights: Floats, sums: Floats) -> Floats:
    """(R, ...) sums of all persons from (R, P) weights and (P, ...) sums of each."""
    pooled: Floats = weights @ sums.reshape(len(sums), -1)
    return pooled.reshape(len(weights), *sums.shape[1:])


def _confusions(output: Output, persons: Ints, n_persons: int) -> Floats:
    """(P, C, C) windows by person, true class and predicted class."""
    n_classes = output.probabilities.shape[1]
    cell = (persons * n_classes + output.truths.astype(np.int64)) * n_classes + output.probabilities.argmax(axis=1)
    counts = np.bincount(cell, minlength=n_persons * n_classes**2)
    return counts.reshape(n_persons, n_classes, n_classes).astype(np.float64)


def _brier_sums(output: Output, persons: Ints, n_persons: int, kind: Kind) -> Floats:
    """(P,) sums of squared distances of probabilities from the answer, for the Brier score.

    Binary and multilabel: (p - y)^2 of the second class, at most 1 (Brier 1950). Otherwise: the sum over classes, at
    most 2. Scikit-learn's ``brier_score_loss`` has the same.
    """
    is_true = output.truths[:, None] == np.arange(output.probabilities.shape[1])
    squares = (output.probabilities - is_true) ** 2
    own = squares[:, 1] if kind in ("binary", "multilabel") else squares.sum(axis=1)
    return np.bincount(persons, own, minlength=n_persons).astype(np.float64)


def _bin_sums(output: Output, persons: Ints, n_persons: int) -> Floats:
    """(P, 15) sums of (right - confidence) by bin of confidence, for the expected calibration error.

    The confidence is the probability of the predicted class. The error is the mean over windows of the distance between
    the share of right windows and the mean confidence of the window's bin. Bins are equally wide and closed above
    (Guo et al. 2017, arXiv 1706.04599, section 2).
    """
    confidence = output.probabilities.max(axis=1)
    right = output.probabilities.argmax(axis=1) == output.truths
    cell = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    sums = np.bincount(persons * N_BINS + cell, right - confidence, minlength=n_persons * N_BINS)
    return sums.reshape(n_persons, N_BINS).astype(np.float64)
