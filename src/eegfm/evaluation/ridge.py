"""Closed-form ridge regression. One decomposition serves every penalty.

Shapes: W windows, F features, L penalties, K' score columns, G windows of a group.
"""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.linear import Floats, Ints, LinearPath, Rows, Standardizer, balanced_weights


def fit_ridge_classifier(features: NDArray[np.floating], classes: Ints, n_classes: int) -> "Ridge":
    """Fit ridge to targets of plus and minus one, each class weighing the same.

    Args:
        features: (W, F).
        classes: (W,) class numbers; every class occurs.
        n_classes: K.
    """
    columns = [1] if n_classes == 2 else range(n_classes)
    targets = np.where(classes[:, None] == np.asarray(list(columns)), 1.0, -1.0)
    return Ridge(features, targets, balanced_weights(classes, n_classes))


def fit_ridge_regression(features: NDArray[np.floating], targets: Floats) -> "Ridge":
    """Fit ridge to one number per window, each window weighing the same.

    The scale of the targets changes the scale of predictions and nothing else, so targets need not be standardised.

    Args:
        features: (W, F).
        targets: (W,) numbers.
    """
    return Ridge(features, targets[:, None], np.ones(len(targets)))


class Ridge:
    """Minimise mean(weight * (target - score)^2) + lambda * |coef|^2 on standardised features.

    The intercept is not penalised. With fewer windows than features, the (W, W) matrix of inner products is solved,
    otherwise the (F, F) matrix (Hastie, Tibshirani, Friedman 2009, section 18.3.5).

    Args:
        features: (W, F).
        targets: (W, K').
        weights: (W,), all above zero.
    """

    def __init__(self, features: NDArray[np.floating], targets: Floats, weights: Floats) -> None:
        self._standardizer = Standardizer.fit(features)
        self._shares = weights / weights.sum()
        self._y_mean = self._shares @ targets
        x, root = self._standardizer(features), np.sqrt(self._shares)[:, None]
        self._x_mean = self._shares @ x
        x -= self._x_mean
        x *= root
        solve = _OverWindows if x.shape[0] <= x.shape[1] else _OverFeatures
        self._solved: _Solved = solve(x, root * (targets - self._y_mean), self._shares)

    def path(self, lambdas: tuple[float, ...]) -> LinearPath:
        """Return the predictors of all windows, one for each penalty."""
        coef = self._solved.coef(np.asarray(lambdas, dtype=np.float64))
        return LinearPath(self._standardizer, coef, self._y_mean - self._x_mean @ coef)

    def left_out(self, group: Rows, lambdas: tuple[float, ...]) -> Floats:
        """Return (L, G, K') scores of some of the windows, by the fits to all others.

        Features are standardised, and windows weigh, as in the fit to all windows.

        Args:
            group: (W,) True for the windows that are left out and scored.
            lambdas: Penalties.
        """
        share_left = 1.0 - float(self._shares[group].sum())
        # The mean is over the windows that stay. Times their share, it is a sum over the terms of all windows.
        penalties = share_left * np.asarray(lambdas, dtype=np.float64)
        return np.asarray(self._solved.left_out(np.flatnonzero(group), penalties) + self._y_mean)


class _Solved(ABC):
    """Solution for rows and targets that are centred, and scaled by the roots of the windows' shares.

    Args:
        x: (W, F).
        y: (W, K').
        shares: (W,), adding up to one.
    """

    def __init__(self, x: Floats, y: Floats, shares: Floats) -> None:
        self.x, self.y, self.shares = x, y, shares
        self.root = np.sqrt(shares)[:, None]

    @abstractmethod
    def coef(self, lambdas: Floats) -> Floats:
        """(L, F, K') solutions of (x'x + lambda) coef = x'y."""

    @abstractmethod
    def left_out(self, group: Ints, lambdas: Floats) -> Floats:
        """(L, G, K') scores of some windows by the fits without them, against the means of all windows."""


class _OverWindows(_Solved):
    """Solution by the inner products of windows."""

    def __init__(self, x: Floats, y: Floats, shares: Floats) -> None:
        super().__init__(x, y, shares)
        # Centred rows say nothing of the intercept, whose direction is that of the roots. It gets an eigenvalue of its
        # own, so that it is the last eigenvector and no mixture with others that the rows say nothing of.
        products = x @ x.T
        products += (1.0 + np.trace(products)) * (self.root * self.root.T)
        self.values, self.vectors = np.linalg.eigh(products)
        self.values[-1] = np.inf  # the intercept is not penalised
        self.along = self.vectors.T @ y

    def coef(self, lambdas: Floats) -> Floats:
        """See the base class."""
        shrunk = self.along / (np.maximum(self.values, 0.0)[None, :, None] + lambdas[:, None, None])
        return np.asarray(self.x.T @ (self.vectors @ shrunk))

    def left_out(self, group: Ints, lambdas: Floats) -> Floats:
        """See the base class.

        With the hat matrix H, the residuals of a group in the fit without it are (1 - H)^-1 times those in the fit to
        all windows (Cook, Weisberg 1982, Residuals and Influence in Regression, section 2.2). So the decomposition of
        all windows serves every group.
        """
        own, found = self.vectors[group], []
        for penalty in lambdas:
            weighted = own * (penalty / (np.maximum(self.values, 0.0) + penalty))
            residuals = np.linalg.solve(weighted @ own.T, weighted @ self.along)
            found.append((self.y[group] - residuals) / self.root[group])
        return np.stack(found)


class _OverFeatures(_Solved):
    """Solution by the products of features."""

    def __init__(self, x: Floats, y: Floats, shares: Floats) -> None:
        super().__init__(x, y, shares)
        self.products, self.right = x.T @ x, x.T @ y

    def coef(self, lambdas: Floats) -> Floats:
        """See the base class."""
        return _solutions(self.products, self.right, lambdas)

    def left_out(self, group: Ints, lambdas: Floats) -> Floats:
        """Take the group off the products, and solve with the means of what stays; see the base class."""
        x, y, root = self.x[group], self.y[group], self.root[group]
        share_left = 1.0 - float(self.shares[group].sum())
        # All windows add up to zero.
        x_mean, y_mean = -(root.T @ x) / share_left, -(root.T @ y) / share_left
        products = self.products - x.T @ x - share_left * x_mean.T @ x_mean
        right = self.right - x.T @ y - share_left * x_mean.T @ y_mean
        return np.asarray((x / root - x_mean) @ _solutions(products, right, lambdas) + y_mean)


def _solutions(products: Floats, right: Floats, lambdas: Floats) -> Floats:
    """(L, F, K') solutions of (products + lambda) coef = right."""
    values, vectors = np.linalg.eigh(products)
    along = vectors.T @ right
    return np.asarray(vectors @ (along / (np.maximum(values, 0.0)[None, :, None] + lambdas[:, None, None])))
