"""Bootstrap intervals over persons. Windows of one person are not independent, persons are."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.linear import Floats


def person_interval(
    counts: NDArray[np.number],
    statistic: Callable[[Floats], Floats],
    *,
    n_resamples: int,
    seed: int,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a pooled score (Efron & Tibshirani 1993, chapter 13).

    Persons are drawn with replacement. Their counts are summed and scored. With few persons the interval is too narrow
    rather than too wide. Resamples without a score (NaN, because all answers drawn are equal) are left out.

    Args:
        counts: (P, ...) counts or sums of each person.
        statistic: Function from (R, ...) pooled sums of R resamples to (R,) scores.
        n_resamples: R.
        seed: Seed of the draws.
        level: Nominal coverage.
    """
    n_persons = len(counts)
    draws = person_draws(n_persons, n_resamples=n_resamples, seed=seed)
    pooled = draws @ counts.reshape(n_persons, -1).astype(np.float64)
    return percentile_interval(statistic(pooled.reshape(n_resamples, *counts.shape[1:])), level=level)


def person_draws(n_persons: int, *, n_resamples: int, seed: int) -> Floats:
    """Return how often each person is drawn: (R, P), drawn with replacement, P in every resample.

    They depend on the seed and on the number of persons alone, so scores of the same persons are paired.
    """
    shares = np.full(n_persons, 1.0 / n_persons)
    draws = np.random.default_rng([seed, n_persons]).multinomial(n_persons, shares, size=n_resamples)
    return draws.astype(np.float64)


def percentile_interval(scores: Floats, *, level: float = 0.95) -> tuple[float, float]:
    """Return the percentiles between which the scores of resamples lie; NaN where no resample has a score.

    Args:
        scores: (R,); NaN is left out.
        level: Nominal coverage.
    """
    known = scores[~np.isnan(scores)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
