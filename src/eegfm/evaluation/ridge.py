"""Closed-form ridge regression. One eigendecomposition serves every penalty."""

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.linear import Floats, Ints, LinearPath, Standardizer, balanced_weights


def fit_ridge_classifier(
    features: NDArray[np.floating], classes: Ints, n_classes: int, lambdas: tuple[float, ...]
) -> LinearPath:
    """Fit ridge to targets of plus and minus one, each class weighing the same.

    Args:
        features: (W, F).
        classes: (W,) class numbers; every class occurs.
        n_classes: K.
        lambdas: Penalties.
    """
    columns = [1] if n_classes == 2 else range(n_classes)
    targets = np.where(classes[:, None] == np.asarray(list(columns)), 1.0, -1.0)
    return fit_ridge(features, targets, balanced_weights(classes, n_classes), lambdas)


def fit_ridge_regression(features: NDArray[np.floating], targets: Floats, lambdas: tuple[float, ...]) -> LinearPath:
    """Fit ridge to one number per window, each window weighing the same.

    Features and targets are standardised with the windows of the fit. Predictions come in the unit of the targets.

    Args:
        features: (W, F).
        targets: (W,) numbers.
        lambdas: Penalties.
    """
    mean, scale = targets.mean(), targets.std() or 1.0
    path = fit_ridge(features, ((targets - mean) / scale)[:, None], np.ones(len(targets)), lambdas)
    return LinearPath(path.standardizer, path.coef * scale, path.intercept * scale + mean)


def fit_ridge(
    features: NDArray[np.floating], targets: Floats, weights: Floats, lambdas: tuple[float, ...]
) -> LinearPath:
    """Minimise mean(weight * (target - score)^2) + lambda * |coef|^2 on standardised features.

    The intercept is not penalised. With fewer windows than features, the (W, W) matrix of inner products is solved,
    otherwise the (F, F) matrix (Hastie, Tibshirani, Friedman 2009, section 18.3.5).

    Args:
        features: (W, F).
        targets: (W, K').
        weights: (W,), summing to W.
        lambdas: Penalties.
    """
    standardizer = Standardizer.fit(features)
    x = standardizer(features)
    shares = weights / weights.sum()
    x_mean, y_mean = shares @ x, shares @ targets
    root = np.sqrt(shares)[:, None]
    coef = _coefficients(root * (x - x_mean), root * (targets - y_mean), np.asarray(lambdas, dtype=np.float64))
    return LinearPath(standardizer, coef, y_mean - x_mean @ coef)


def _coefficients(x: Floats, y: Floats, lambdas: Floats) -> Floats:
    """(L, F, K') solutions of (x'x + lambda) coef = x'y."""
    is_wide = x.shape[0] <= x.shape[1]
    values, vectors = np.linalg.eigh(x @ x.T if is_wide else x.T @ x)
    right = vectors.T @ (y if is_wide else x.T @ y)
    shrunk = right / (np.maximum(values, 0.0)[None, :, None] + lambdas[:, None, None])
    return np.asarray(x.T @ (vectors @ shrunk) if is_wide else vectors @ shrunk)
