"""Answers that are asked of windows: a class each, or a number each.

Shapes: W windows, P persons, L penalties, K classes, K' score columns (see ``eegfm.evaluation.linear``).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.config import FitParams
from eegfm.evaluation.linear import Fit, Floats, Ints, decide
from eegfm.evaluation.logistic import Logistic
from eegfm.evaluation.metrics import (
    balanced_accuracy,
    confusions_by_person,
    mean_absolute_error,
    normalized_rmse,
    number_sums,
    pearson,
    r_squared,
)
from eegfm.evaluation.neighbours import nearest_classes, nearest_numbers
from eegfm.evaluation.ridge import fit_ridge_classifier, fit_ridge_regression

Measure = Callable[[Floats], Floats]
"""Scores (...) from sums over windows (..., S) or (..., K, K)."""


class Scored(ABC):
    """A question to windows, with the scores of what is predicted."""

    measures: ClassVar[Mapping[str, Measure]]
    """Scores by name; the first is the one that results are compared by."""
    measure_per_person: ClassVar[str]
    """The score that makes sense for one person."""
    is_error: ClassVar[bool]
    """Whether that score is better the lower it is."""

    @abstractmethod
    def sums(self, predicted: NDArray[Any], persons: Ints, n_persons: int) -> Floats:
        """(P, ...) sums of each person that ``measures`` score."""

    def sums_of_means(self, predicted: NDArray[Any], persons: Ints, n_persons: int) -> Floats | None:
        """The same with the windows of each person averaged first; None where windows have answers of their own."""
        return None


class Answers(Scored):
    """True answers of windows, with what a probe needs to fit and to score them."""

    @property
    @abstractmethod
    def values(self) -> NDArray[Any]:
        """(W,) the answers."""

    @abstractmethod
    def at(self, rows: NDArray[np.bool_]) -> Self:
        """Answers of some windows."""

    @abstractmethod
    def can_be_learnt(self) -> bool:
        """Return whether a probe can be fitted to these answers."""

    @abstractmethod
    def fit(self, features: NDArray[np.floating], params: FitParams) -> Fit:
        """Fit (W, F) features to the answers."""

    @abstractmethod
    def without_features(self) -> Floats:
        """(K',) scores of every window where nothing is known of it: the most frequent answer, or the mean."""

    @abstractmethod
    def predicted(self, scores: Floats) -> NDArray[Any]:
        """Predicted answers (...) from scores (..., K')."""

    @abstractmethod
    def goodness(self, predicted: NDArray[Any]) -> Floats:
        """Return what adds up over groups of windows to choose a penalty by: (L, ...) sums from (L, W) predictions."""

    @abstractmethod
    def rank(self, sums: Floats) -> Floats:
        """(L,) higher is better, from summed ``goodness``."""


@dataclass(frozen=True)
class ClassAnswers(Answers):
    """A class per window.

    Args:
        numbers: (W,) class numbers.
        classes: (K,) names of the classes.
    """

    numbers: Ints
    classes: tuple[str, ...]

    measures: ClassVar[Mapping[str, Measure]] = {"balanced_accuracy": balanced_accuracy}
    measure_per_person: ClassVar[str] = "balanced_accuracy"
    is_error: ClassVar[bool] = False

    @property
    def values(self) -> Ints:
        """(W,) class numbers."""
        return self.numbers

    @property
    def counts(self) -> Ints:
        """(K,) windows of each class."""
        return np.bincount(self.numbers, minlength=len(self.classes))

    def at(self, rows: NDArray[np.bool_]) -> Self:
        """See the base class."""
        return replace(self, numbers=self.numbers[rows])

    def can_be_learnt(self) -> bool:
        """True if every class occurs."""
        return bool((self.counts > 0).all())

    def fit(self, features: NDArray[np.floating], params: FitParams) -> Fit:
        """See the base class."""
        if params.method == "knn":
            return nearest_classes(features, self.numbers, len(self.classes), params.distance)
        fit = fit_ridge_classifier if params.method == "ridge" else Logistic
        return fit(features, self.numbers, len(self.classes))

    def without_features(self) -> Floats:
        """Shares of the classes; of two, by how much the second is larger."""
        shares: Floats = self.counts / self.counts.sum()
        return shares[1:] - shares[:1] if len(shares) == 2 else shares

    def predicted(self, scores: Floats) -> Ints:
        """Class numbers."""
        return decide(scores)

    def goodness(self, predicted: NDArray[Any]) -> Floats:
        """(L, K, K) confusions."""
        n_lambdas = len(predicted)
        penalty = np.repeat(np.arange(n_lambdas), len(self.numbers))
        truth = np.tile(self.numbers, n_lambdas)
        found = confusions_by_person(penalty, n_lambdas, truth, predicted.ravel(), len(self.classes))
        return found.astype(np.float64)

    def rank(self, sums: Floats) -> Floats:
        """Balanced accuracy."""
        return balanced_accuracy(sums)

    def sums(self, predicted: NDArray[Any], persons: Ints, n_persons: int) -> Floats:
        """(P, K, K) confusions."""
        found = confusions_by_person(persons, n_persons, self.numbers, predicted, len(self.classes))
        return found.astype(np.float64)


@dataclass(frozen=True)
class NumberAnswers(Answers):
    """A number per window.

    Args:
        numbers: (W,) float64.
        is_of_person: Whether the number is one of the person, such as age. The windows of a person are then also
            averaged before they are scored.
    """

    numbers: Floats
    is_of_person: bool

    measures: ClassVar[Mapping[str, Measure]] = {
        "r2": r_squared,
        "pearson": pearson,
        "nrmse": normalized_rmse,
        "mae": mean_absolute_error,
    }
    measure_per_person: ClassVar[str] = "mae"
    is_error: ClassVar[bool] = True

    @property
    def values(self) -> Floats:
        """(W,) the numbers."""
        return self.numbers

    def at(self, rows: NDArray[np.bool_]) -> Self:
        """See the base class."""
        return replace(self, numbers=self.numbers[rows])

    def can_be_learnt(self) -> bool:
        """True if there is a window: what does not vary is predicted by its mean."""
        return len(self.numbers) > 0

    def fit(self, features: NDArray[np.floating], params: FitParams) -> Fit:
        """Fit by ridge regression where the method for classes is linear, otherwise by nearest neighbours."""
        if params.method == "knn":
            return nearest_numbers(features, self.numbers, params.distance)
        return fit_ridge_regression(features, self.numbers)

    def without_features(self) -> Floats:
        """The mean."""
        return np.asarray([self.numbers.mean()])

    def predicted(self, scores: Floats) -> Floats:
        """The only score column."""
        return scores[..., 0]

    def goodness(self, predicted: NDArray[Any]) -> Floats:
        """(L,) summed squared errors."""
        return np.asarray(((predicted - self.numbers) ** 2).sum(axis=-1))

    def rank(self, sums: Floats) -> Floats:
        """The negative of the squared errors."""
        return -sums

    def sums(self, predicted: NDArray[Any], persons: Ints, n_persons: int) -> Floats:
        """(P, 8); see ``number_sums``."""
        return number_sums(self.numbers, predicted, persons, n_persons)

    def sums_of_means(self, predicted: NDArray[Any], persons: Ints, n_persons: int) -> Floats | None:
        """(P, 8), of one mean prediction and one mean answer per person."""
        if not self.is_of_person:
            return None
        n_windows = np.bincount(persons, minlength=n_persons)
        truth, mean = (np.bincount(persons, v, minlength=n_persons) / n_windows for v in (self.numbers, predicted))
        return number_sums(truth, mean, np.arange(n_persons), n_persons)
