"""Weights of classes from how many training windows have each. numpy only.

Shapes: C classes, K outputs.
"""

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import ConfigError
from eegfm.losses.config import ClassWeights, EffectiveNumberWeights, ListedWeights
from eegfm.targets import TargetSpec

Floats = NDArray[np.float64]


def class_weights(config: ClassWeights, target: TargetSpec, counts: NDArray[np.int64]) -> Floats | None:
    """Weigh the classes of each output, so that the mean weight over the windows of training is 1.

    The loss therefore keeps its scale, and a learning rate its meaning.

    Args:
        config: Which weights.
        target: The answer.
        counts: (C,) windows of each class, (K, 2) of no and yes, or (K, C): see ``eegfm.windows.answers``. They come
            from the windows of training persons alone.

    Returns:
        Weights of the shape of the counts, or None for no weights. A class of an output that no window has weighs 1.

    Raises:
        ConfigError: The answer is no class, or the list has another length than the classes.
    """
    if config.name == "none":
        return None
    if target.kind not in ("binary", "multiclass", "multilabel", "multioutput"):
        raise ConfigError(
            f"class_weights {config.name!r}: a {target.kind} answer has no classes; leave class_weights out"
        )
    assert counts.shape == counts_shape(target), f"{counts.shape} are no counts of {target.kind} answers"
    weights = np.where(counts > 0, _raw(config, target, counts), 0.0)
    n_windows = counts.sum(axis=-1, keepdims=True)
    total = (weights * counts).sum(axis=-1, keepdims=True)
    scaled = np.divide(weights * n_windows, total, out=np.ones_like(weights), where=total > 0)
    return np.where(counts > 0, scaled, 1.0)


def counts_shape(target: TargetSpec) -> tuple[int, ...]:
    """Shape of the counts of an answer's classes."""
    if target.kind == "multilabel":
        return (len(target.outputs), 2)
    return (len(target.outputs), len(target.classes)) if target.kind == "multioutput" else (len(target.classes),)


def _raw(config: ClassWeights, target: TargetSpec, counts: NDArray[np.int64]) -> Floats:
    """Weights before they are scaled; any number where no window counts."""
    if isinstance(config, ListedWeights):
        return np.broadcast_to(_listed(config, target), counts.shape).astype(np.float64)
    n = np.maximum(counts, 1).astype(np.float64)
    if isinstance(config, EffectiveNumberWeights):
        # 1 - beta^n in a form that keeps its digits for beta near 1.
        return np.ones_like(n) if config.beta == 0 else -1.0 / np.expm1(n * np.log(config.beta))
    return n**-0.5 if config.name == "sqrt_balanced" else 1.0 / n


def _listed(config: ListedWeights, target: TargetSpec) -> Floats:
    names = target.outputs if target.kind == "multilabel" else target.classes
    if len(config.weights) != len(names):
        raise ConfigError(
            f"class_weights lists {len(config.weights)} weights, but the task has {len(names)} "
            f"{'outputs' if target.kind == 'multilabel' else 'classes'} ({', '.join(names)}); list one for each"
        )
    weights = np.array(config.weights)
    return np.stack([np.ones_like(weights), weights], axis=-1) if target.kind == "multilabel" else weights
