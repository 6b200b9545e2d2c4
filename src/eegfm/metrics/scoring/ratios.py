"""Ratios and means that are NaN where they are not defined."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.bool_]


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return a quotient; NaN where the denominator is not positive."""
    over, under = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    is_defined = under > 0
    quotient: Floats = np.where(is_defined, over / np.where(is_defined, under, 1.0), np.nan)
    return quotient


def mean_where(counts: Rows, values: Floats) -> Floats:
    """Return the mean over the last axis of the values that count; NaN where none does, or where one of them is NaN."""
    return ratio(np.where(counts, values, 0.0).sum(axis=-1), counts.sum(axis=-1))


def mean_of_known(values: Floats) -> Floats:
    """Return the mean over the last axis of the values that are not NaN; NaN where all are."""
    return mean_where(~np.isnan(values), values)
