"""Metrics of classes from confusion matrices.

Shapes: K outputs, C classes. A confusion matrix (C, C) counts windows by true class and predicted class. The predicted
class is the one of the highest probability, the first of them if two are equal. An output of a multilabel target has
the two classes no and yes; yes is predicted above one half.
"""

from collections.abc import Callable

import numpy as np

from eegfm.metrics.scoring.ratios import Floats, Rows, mean_of_known, mean_where, ratio
from eegfm.targets import Kind


class Confusions:
    """Confusion matrices of K outputs.

    Args:
        counts: (..., K, C, C), rows are true classes.
        kind: Kind of the target.
    """

    def __init__(self, counts: Floats, kind: Kind) -> None:
        self.kind = kind
        self.total = counts.sum(axis=(-1, -2))
        self.true, self.predicted = counts.sum(axis=-1), counts.sum(axis=-2)
        self.hits = np.diagonal(counts, axis1=-2, axis2=-1)

    @property
    def has_two_classes(self) -> Rows:
        """(..., K) whether an output has answers of two classes at least."""
        rows: Rows = (self.true > 0).sum(axis=-1) > 1
        return rows

    def accuracy(self) -> Floats:
        """Share of windows whose class is predicted; mean over outputs. NaN without a known answer."""
        return mean_of_known(ratio(self.hits.sum(axis=-1), self.total))

    def balanced_accuracy(self) -> Floats:
        """Mean recall over the classes that occur; mean over outputs. NaN without a known answer.

        If only one class occurs, it is the recall of this class.
        """
        return mean_of_known(mean_of_known(ratio(self.hits, self.true)))

    def precision(self) -> Floats:
        """True positives over predicted ones, of each class; see ``macro``. It is 0 for a class never predicted."""
        return self.macro(self._precision)

    def recall(self) -> Floats:
        """True positives over true ones, of each class; see ``macro``. It is 0 for a class that never occurs."""
        return self.macro(self._recall)

    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, of each class: 2 TP / (2 TP + FP + FN); see ``macro``."""
        return self.macro(self._f1)

    def precision_weighted(self) -> Floats:
        """Precision, each class weighted by its true windows."""
        return self.weighted(self._precision)

    def recall_weighted(self) -> Floats:
        """Recall, each class weighted by its true windows. For one class per window it equals accuracy."""
        return self.weighted(self._recall)

    def f1_weighted(self) -> Floats:
        """F1, each class weighted by its true windows."""
        return self.weighted(self._f1)

    def cohen_kappa(self) -> Floats:
        """Agreement beyond chance, (po - pe) / (1 - pe): po the accuracy, pe that of independent answers.

        Source: Cohen 1960 (doi 10.1177/001316446002000104). It is NaN where true and predicted classes are all the
        same. Of several outputs, it is the mean over those with two classes.
        """
        squared = self.total**2
        by_chance = (self.true * self.predicted).sum(axis=-1)
        kappa = ratio(self.hits.sum(axis=-1) * self.total - by_chance, squared - by_chance)
        if self.kind in ("multilabel", "multioutput"):
            return mean_where(self.has_two_classes, kappa)
        return mean_of_known(kappa)

    def specificity(self) -> Floats:
        """True negatives over all windows of other classes, TN / (TN + FP).

        Binary: of the second class. Multilabel: of yes, mean over outputs with a no. Otherwise: mean over the classes
        that occur or are predicted, then over outputs. NaN where no window is of another class.
        """
        others = self.total[..., None] - self.true
        of_class = ratio(others - self.predicted + self.hits, others)
        if self.kind in ("binary", "multilabel"):
            return mean_of_known(of_class[..., 1])
        return mean_of_known(mean_of_known(np.where(self._is_involved, of_class, np.nan)))

    def macro(self, of_class: Callable[[], Floats]) -> Floats:
        """Return the mean over classes, then over outputs.

        Classes that neither occur nor are predicted do not count, as in scikit-learn. The classes of a binary target
        are both of its classes. For a multilabel target, it is the mean over outputs of the value of yes; an output
        without a true or predicted yes does not count.
        """
        if self.kind == "multilabel":
            return mean_where(self._is_involved[..., 1], of_class()[..., 1])
        return mean_of_known(mean_where(self._is_involved, of_class()))

    def weighted(self, of_class: Callable[[], Floats]) -> Floats:
        """Return the mean over windows of the value of their true class, then over outputs.

        For a multilabel target, outputs are weighted by their true yes answers. NaN without any.
        """
        if self.kind == "multilabel":
            true = self.true[..., 1]
            return ratio((true * of_class()[..., 1]).sum(axis=-1), true.sum(axis=-1))
        return mean_of_known(ratio((self.true * of_class()).sum(axis=-1), self.total))

    @property
    def _is_involved(self) -> Rows:
        """(..., K, C) whether a class occurs or is predicted."""
        rows: Rows = self.true + self.predicted > 0
        return rows

    def _precision(self) -> Floats:
        return self.hits / np.where(self.predicted > 0, self.predicted, 1.0)

    def _recall(self) -> Floats:
        return self.hits / np.where(self.true > 0, self.true, 1.0)

    def _f1(self) -> Floats:
        return 2 * self.hits / np.where(self._is_involved, self.true + self.predicted, 1.0)
