"""Metrics of numbers from sums over windows.

Shapes: K outputs. Every metric is the mean over outputs of the metric of one output. An output is left out only because
of its answers: where none is known, and from ``r2``, ``pearson`` and ``nrmse`` where they do not vary.
"""

from collections.abc import Callable

import numpy as np

from eegfm.metrics.scoring.ratios import Floats, Ints, Rows, mean_where, ratio

_ROUNDING = 1e-12
"""Share of a sum of squares that is no more than rounding."""


def number_sums(truths: Floats, predicted: Floats, persons: Ints, n_persons: int) -> Floats:
    """Return (P, 8) sums over windows: one, y, y^2, p, p^2, y p, (y - p)^2, |y - p|.

    The first five count y and p from their means over all windows. This changes no score and loses no digits.

    Args:
        truths: (W,) true numbers y.
        predicted: (W,) predicted numbers p.
        persons: (W,) person numbers.
        n_persons: P.
    """
    errors = truths - predicted
    y, p = (values - values.mean() if len(values) else values for values in (truths, predicted))
    columns = (np.ones_like(y), y, y**2, p, p**2, y * p, errors**2, np.abs(errors))
    return np.stack([np.bincount(persons, values, minlength=n_persons) for values in columns], axis=-1)


class Numbers:
    """Sums of K outputs.

    Args:
        sums: (..., K, 8), see ``number_sums``.
    """

    def __init__(self, sums: Floats) -> None:
        n, y, y2, p, p2, yp, self.squares, self.distances = np.moveaxis(sums, -1, 0)
        self.n = n
        self.of_truths, self.of_predicted = _spread(n, y, y2), _spread(n, p, p2)
        self.together = yp - y * p / np.where(n > 0, n, 1.0)

    @property
    def vary(self) -> Rows:
        """(..., K) whether the answers of an output vary."""
        rows: Rows = ~np.isnan(self.of_truths)
        return rows

    def mse(self) -> Floats:
        """Mean squared error, in the squared unit of the answers."""
        return mean_where(self.n > 0, self._mean_square())

    def mae(self) -> Floats:
        """Mean absolute error, in the unit of the answers."""
        return mean_where(self.n > 0, ratio(self.distances, self.n))

    def rmse(self) -> Floats:
        """Root of the mean squared error, in the unit of the answers."""
        return mean_where(self.n > 0, np.sqrt(self._mean_square()))

    def r2(self) -> Floats:
        """Explained share of the variance: 1 - sum (y - p)^2 / sum (y - mean y)^2."""
        return mean_where(self.vary, 1 - self.squares / self.of_truths)

    def pearson(self) -> Floats:
        """Correlation of answers and predictions. NaN where the predictions of an output do not vary."""
        correlation = self.together / np.sqrt(self.of_truths * self.of_predicted)
        return mean_where(self.vary, np.clip(correlation, -1.0, 1.0))

    def nrmse(self) -> Floats:
        """RMSE over the standard deviation of the answers (ddof 0); the mean as prediction has 1.

        Source: EEG Foundation Challenge 2025, start kit, local_scoring.py.
        """
        return mean_where(self.vary, np.sqrt(self.squares / self.of_truths))

    def n_left_out(self) -> Floats:
        """Number of outputs whose answers do not vary."""
        count: Floats = (~self.vary).sum(axis=-1).astype(np.float64)
        return count

    def _mean_square(self) -> Floats:
        return ratio(self.squares, self.n)


NUMBER_SCORES: dict[str, Callable[[Numbers], Floats]] = {
    name: getattr(Numbers, name) for name in ("mse", "mae", "rmse", "r2", "pearson", "nrmse", "n_left_out")
}
"""By name, scores (...) of sums (..., K, 8)."""


def _spread(n: Floats, total: Floats, squares: Floats) -> Floats:
    """Sum of squared deviations from the mean; NaN where it is no more than rounding."""
    deviations = squares - total**2 / np.where(n > 0, n, 1.0)
    spread: Floats = np.where(deviations > _ROUNDING * squares, deviations, np.nan)
    return spread
