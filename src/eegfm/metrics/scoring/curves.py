"""Areas under the ROC curve and the precision-recall curve, for many weightings of persons at once."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eegfm.metrics.scoring.ratios import Floats, Ints, Rows, ratio

_CHUNK = 1_000_000
"""Cells of weights (resamples x windows) that are computed at a time: 8 MB per array."""


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
    """Windows in falling order of the score of a class.

    Args:
        persons: (W,) person numbers.
        positives: (W,) 1 where the window is of the class, else 0.
        ends: (D,) position of the last window of each of the D distinct scores.
    """

    persons: Ints
    positives: Floats
    ends: Ints

    @classmethod
    def of(cls, scores: ArrayLike, positives: Rows, persons: Ints) -> "Ranking":
        """Rank windows by (W,) scores."""
        falling = -np.asarray(scores, dtype=np.float64)
        order = np.argsort(falling, kind="stable")
        falling = falling[order]
        ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)[: len(falling)])
        return cls(persons[order], positives[order].astype(np.float64), ends)

    def areas(self, weights: Floats) -> Areas:
        """Return both areas under (R, P) weights of persons; NaN without a positive or without a negative window."""
        if not len(self.persons):
            return Areas(np.full(len(weights), np.nan), np.full(len(weights), np.nan))
        n_rows = max(1, _CHUNK // len(self.persons))
        parts = [self._areas(weights[at : at + n_rows]) for at in range(0, len(weights), n_rows)]
        return Areas(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _areas(self, weights: Floats) -> Areas:
        of_window = weights[:, self.persons]
        n_all = np.cumsum(of_window, axis=1)[:, self.ends]
        of_window *= self.positives
        n_true = np.cumsum(of_window, axis=1)[:, self.ends]
        n_false = n_all - n_true
        gained = np.diff(n_true, axis=1, prepend=0.0)
        lost = np.diff(n_false, axis=1, prepend=0.0)
        positives, negatives = n_true[:, -1], n_false[:, -1]
        auroc = ratio((lost * (n_true - gained / 2)).sum(axis=1), positives * negatives)
        precision = n_true / np.where(n_all > 0, n_all, 1.0)
        auprc = ratio((gained * precision).sum(axis=1), np.where(negatives > 0, positives, 0.0))
        return Areas(auroc, auprc)
