"""Pieces of curves: learning rates over the peak."""

import math
from collections.abc import Callable

from eegfm.training.schedules.warmed import WarmedConfig

Curve = Callable[[int], float]
"""Learning rate of a step, counted from 0, over the peak."""


def half_cosine(begin: float, end: float, progress: float) -> float:
    """Go from begin to end along half a cosine; progress beyond 1 stays at the end."""
    return end + (begin - end) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def line(begin: float, end: float, progress: float) -> float:
    """Go from begin to end along a line; progress beyond 1 stays at the end."""
    return begin + (end - begin) * min(progress, 1.0)


def progress_after(step: int, n_before: int, n_steps: int) -> float:
    """Return the share of the way from the first step after ``n_before`` steps, 0, to the last step of all, 1."""
    return (step - n_before) / max(n_steps - n_before - 1, 1)


def warmed(config: WarmedConfig, n_steps: int, n_steps_per_epoch: int, then: Curve = lambda step: 1.0) -> Curve:
    """Rise along a line to the peak, times another curve: step k of the n that rise is k / n of the way up."""
    n = config.n_warmup_steps(n_steps, n_steps_per_epoch)

    def curve(step: int) -> float:
        rise = line(config.initial_ratio, 1.0, (step + 1) / n) if step < n else 1.0
        return rise * then(step)

    return curve
