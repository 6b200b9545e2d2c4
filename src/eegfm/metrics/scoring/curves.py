"""Areas under the ROC curve and the precision-recall curve, for many weightings of persons at once.

Shapes: W windows, P persons, R weightings, D distinct scores that positive windows have.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from eegfm.metrics.scoring.ratios import Floats, Ints, Rows, ratio

_CHUNK = 500_000
"""Cells of thresholds x weightings that are computed at a time: 4 MB per array."""


class Areas(NamedTuple):
    """Areas under the two curves.

    Args:
        auroc: (R,) probability that a positive window scores higher than a negative one; a tie counts one half
            (Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747).
        auprc: (R,) average precision: sum over thresholds of (recall gained) x precision, without interpolation, as in
            scikit-learn's ``average_precision_score``.
    """

    auroc: Floats
    auprc: Floats


@dataclass(frozen=True)
class Ranking:
    """Windows counted by person at the D thresholds, in falling order, at which a positive window is gained.

    Both areas need no other threshold. Rare classes, which have few, are therefore cheap.

    Args:
        gained: Sparse (D, P), positive windows of exactly this score.
        passed: Sparse (D, P), windows below the previous threshold and not below this one.
        tied: Sparse (D, P), negative windows of exactly this score.
        positives: (P,) positive windows.
        negatives: (P,) negative windows.
    """

    gained: Any
    passed: Any
    tied: Any
    positives: Floats
    negatives: Floats

    @classmethod
    def of(cls, scores: ArrayLike, positives: Rows, persons: Ints, n_persons: int) -> "Ranking":
        """Rank windows by score.

        Args:
            scores: (W,) score of the class.
            positives: (W,) whether a window is of the class.
            persons: (W,) person numbers.
            n_persons: P.
        """
        distinct, score = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True)
        score = len(distinct) - 1 - score  # the highest is the first
        has_positive = np.bincount(score[positives], minlength=len(distinct)) > 0
        n_before: Ints = np.cumsum(has_positive) - has_positive
        threshold: Ints = n_before[score]
        n_thresholds = int(has_positive.sum())

        def counted(rows: Rows) -> Any:
            kept = rows & (threshold < n_thresholds)
            ones, shape = np.ones(kept.sum()), (n_thresholds, n_persons)
            return csr_array((ones, (threshold[kept], persons[kept])), shape=shape)

        return cls(
            counted(positives),
            counted(np.ones(len(positives), dtype=np.bool_)),
            counted(~positives & has_positive[score]),
            np.bincount(persons[positives], minlength=n_persons).astype(np.float64),
            np.bincount(persons[~positives], minlength=n_persons).astype(np.float64),
        )

    def areas(self, weights: Floats) -> Areas:
        """Return both areas under (R, P) weights of persons; NaN without a positive or without a negative window."""
        n_rows = max(1, _CHUNK // max(1, self.gained.shape[0]))
        parts = [self._areas(weights[at : at + n_rows]) for at in range(0, len(weights), n_rows)]
        return Areas(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _areas(self, weights: Floats) -> Areas:
        by_person = np.ascontiguousarray(weights.T)
        gained = self.gained @ by_person
        n_true, n_passed = gained.cumsum(axis=0), (self.passed @ by_person).cumsum(axis=0)
        positives, negatives = weights @ self.positives, weights @ self.negatives
        below = negatives - (n_passed - n_true) + self.tied @ by_person / 2
        precision = n_true / np.where(n_passed > 0, n_passed, 1.0)
        return Areas(
            ratio((gained * below).sum(axis=0), positives * negatives),
            ratio((gained * precision).sum(axis=0), np.where(negatives > 0, positives, 0.0)),
        )
