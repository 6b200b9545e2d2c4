"""Penalised logistic regression on standardised features, solved in the space that the windows span."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from eegfm.evaluation.linear import Floats, Ints, LinearPath, Rows, Standardizer, balanced_weights


@dataclass(frozen=True)
class Logistic:
    """Minimise mean(weight * log loss) + lambda / 2 * |coef|^2, each class weighing the same.

    Two classes share one score column (the logit of the second class). More classes have one column each (softmax). The
    optimum lies in the span of the windows. If features outnumber windows, the problem is therefore solved in the
    windows' principal axes, which is exact and small.

    Args:
        features: (W, F).
        classes: (W,) class numbers; every class occurs.
        n_classes: K.
    """

    features: NDArray[np.floating]
    classes: Ints
    n_classes: int

    def path(self, lambdas: tuple[float, ...]) -> LinearPath:
        """Return the predictors of all windows, one for each penalty."""
        standardizer = Standardizer.fit(self.features)
        reduced, axes = _principal(standardizer(self.features))
        loss = _Loss(reduced, self.classes, self.n_classes)
        solutions: dict[float, Floats] = {}
        start = np.zeros(loss.shape)
        # Start with strong penalties. They converge at once, and their optimum is close to that of weaker penalties.
        for penalty in sorted(lambdas, reverse=True):
            start = solutions[penalty] = loss.minimum(penalty, start)
        stacked = np.stack([solutions[penalty] for penalty in lambdas])
        return LinearPath(standardizer, axes @ stacked[:, 1:], stacked[:, 0])

    def left_out(self, group: Rows, lambdas: tuple[float, ...]) -> Floats:
        """Return (L, G, K') scores of some of the windows, by fits to all others."""
        others = Logistic(self.features[~group], self.classes[~group], self.n_classes)
        return others.path(lambdas).scores(self.features[group])


def _principal(x: Floats) -> tuple[Floats, Floats]:
    """(W, R) coordinates of the windows and their orthonormal (F, R) axes."""
    if x.shape[0] > x.shape[1]:
        return x, np.eye(x.shape[1])
    values, vectors = np.linalg.eigh(x @ x.T)
    spanned = values > 1e-10 * values[-1]
    lengths, directions = np.sqrt(values[spanned]), vectors[:, spanned]
    return directions * lengths, x.T @ (directions / lengths)


class _Loss:
    """Balanced log loss as a function of the parameters (1 + R, K'), intercept first."""

    def __init__(self, x: Floats, classes: Ints, n_classes: int) -> None:
        self.x = np.concatenate([np.ones((len(x), 1)), x], axis=1)
        self.shares = balanced_weights(classes, n_classes)[:, None] / len(classes)
        self.targets = np.eye(n_classes)[classes]
        self.is_binary = n_classes == 2
        self.shape = (self.x.shape[1], 1 if self.is_binary else n_classes)

    def minimum(self, penalty: float, start: Floats) -> Floats:
        """Parameters at the optimum."""
        result = minimize(
            self._value_and_gradient,
            start.ravel(),
            args=(penalty,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-13, "gtol": 1e-8, "maxcor": 30},
        )
        return np.asarray(result.x, dtype=np.float64).reshape(self.shape)

    def _value_and_gradient(self, flat: Floats, penalty: float) -> tuple[float, Floats]:
        parameters = flat.reshape(self.shape)
        scores = self.x @ parameters
        logits = np.concatenate([np.zeros_like(scores), scores], axis=1) if self.is_binary else scores
        logs = log_softmax(logits, axis=1)
        slope = parameters.copy()
        slope[0] = 0.0  # the intercept is not penalised
        value = -(self.shares * self.targets * logs).sum() + penalty / 2 * (slope**2).sum()
        residual = self.shares * (np.exp(logs) - self.targets)
        gradient = self.x.T @ (residual[:, 1:] if self.is_binary else residual) + penalty * slope
        return float(value), gradient.ravel()
