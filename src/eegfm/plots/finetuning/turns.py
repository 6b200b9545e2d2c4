"""ROC and precision-recall curves by the points at which they turn.

Between two points of a ROC curve the line is straight. A precision-recall curve has steps: the precision of a point
holds from the recall of the point before, so that the area below is the average precision of scikit-learn.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.bool_]

MOST_POINTS = 2000
"""Turns up to which a curve is drawn exactly."""
TOLERANCE = 0.001
"""Side of the squares in which further turns are merged."""


class Curve(NamedTuple):
    """Points of a curve.

    Args:
        x: (n,) false positive rate, or recall.
        y: (n,) true positive rate, or precision.
        is_exact: Whether every turn is there. Otherwise the drawn curve is within ``TOLERANCE`` on both axes.
    """

    x: Floats
    y: Floats
    is_exact: bool


def roc_curve_of(scores: Floats, positives: Rows) -> Curve | None:
    """Return the ROC curve, from (0, 0) to (1, 1); None where all windows, or none, are positive.

    Args:
        scores: (n,) the higher, the more probably positive.
        positives: (n,) whether a window is positive.
    """
    tp, fp = (np.insert(counts, 0, 0) for counts in _counts(scores, positives))
    if not (tp[-1] and fp[-1]):
        return None
    before, after = (np.diff(tp)[:-1], np.diff(fp)[:-1]), (np.diff(tp)[1:], np.diff(fp)[1:])
    turns = before[0] * after[1] != before[1] * after[0]
    kept = np.concatenate([[True], turns, [True]])
    return _drawn(fp[kept] / fp[-1], tp[kept] / tp[-1])


def precision_recall_curve_of(scores: Floats, positives: Rows) -> Curve | None:
    """Return the precision-recall curve, from recall 0 to 1; None where all windows, or none, are positive.

    Args:
        scores: (n,) the higher, the more probably positive.
        positives: (n,) whether a window is positive.
    """
    tp, fp = _counts(scores, positives)
    if not len(tp) or not (tp[-1] and fp[-1]):
        return None
    n = tp + fp
    is_level = np.append(tp[:-1] * n[1:] == tp[1:] * n[:-1], False)
    is_inner = np.zeros(len(tp), dtype=bool)
    is_inner[1:-1] = (tp[:-2] == tp[1:-1]) & (tp[1:-1] == tp[2:])
    kept = ~(is_level | is_inner)
    return _drawn(np.insert(tp[kept] / tp[-1], 0, 0.0), np.insert(tp[kept] / n[kept], 0, 1.0))


def _counts(scores: Floats, positives: Rows) -> tuple[Ints, Ints]:
    """(D,) true and false positives at each of the D distinct scores, the highest first."""
    order = np.argsort(-scores, kind="stable")
    falling, hits = scores[order], positives[order]
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)[: len(falling)])
    tp = np.cumsum(hits, dtype=np.int64)[ends]
    return tp, ends + 1 - tp


def _drawn(x: Floats, y: Floats) -> Curve:
    """Merge turns that lie in one small square, if there are too many."""
    if len(x) <= MOST_POINTS:
        return Curve(x, y, True)
    squares = np.floor(np.stack([x, y]) / TOLERANCE)
    is_other = (squares[:, 1:] != squares[:, :-1]).any(axis=0)
    # The first and the last turn of each stay in a square.
    kept = np.insert(is_other, 0, True) | np.append(is_other, True)
    return Curve(x[kept], y[kept], False)
