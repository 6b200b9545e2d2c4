"""Answered windows, output by output: what every metric of classes and numbers starts from."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import TrainingError
from eegfm.metrics.scoring.ratios import Floats, Ints, Rows
from eegfm.targets import TargetSpec

_ROUNDING = 1e-2
"""Probabilities come from bfloat16, too."""


class Output(NamedTuple):
    """Windows whose answer of one output is known.

    Args:
        rows: (n,) positions of the windows.
        probabilities: (n, C) of the classes; (n, 1) predicted numbers of a regression.
        truths: (n,) class numbers int64, or numbers float64.
    """

    rows: Ints
    probabilities: Floats
    truths: NDArray[np.int64] | Floats


def known_answers(target: TargetSpec, truths: NDArray[np.generic]) -> Rows:
    """Return (W, K) whether the answer of an output is known; K is 1 for a class per window."""
    values = np.asarray(truths)
    columns = values[:, None] if values.ndim == 1 else values
    rows: Rows = ~np.isnan(columns) if target.kind in ("multilabel", "regression") else columns >= 0
    return rows


def outputs_of(
    target: TargetSpec, probabilities: NDArray[np.generic], truths: NDArray[np.generic]
) -> tuple[Output, ...]:
    """Return the answered windows of each output.

    Args:
        target: What the windows are asked for.
        probabilities: What a model says, see ``eegfm.targets``.
        truths: The true answers, see there. Windows with an unknown answer are left out of this output.

    Raises:
        TrainingError: A prediction of an answered window is not finite.
    """
    known = known_answers(target, truths)
    said, true = np.asarray(probabilities, dtype=np.float64), np.asarray(truths)
    assert said.shape == (len(true), *target.output_shape), f"{said.shape} of {len(true)} windows of {target}"
    true = true[:, None] if true.ndim == 1 else true
    said = _by_output(target, said)
    assert known.shape == said.shape[:2], f"truths {true.shape} of predictions {said.shape}"
    _refuse_bad(target, said, true, known)
    rows = [np.flatnonzero(known[:, k]) for k in range(known.shape[1])]
    dtype = np.float64 if target.kind == "regression" else np.int64
    return tuple(Output(row, said[row, k], true[row, k].astype(dtype)) for k, row in enumerate(rows))


def _by_output(target: TargetSpec, said: Floats) -> Floats:
    """(W, K, C); C is 1 for numbers, and the classes of a yes-or-no output are no and yes."""
    if target.kind == "multilabel":
        return np.stack([1 - said, said], axis=-1)
    if target.kind == "regression":
        return said[:, :, None]
    return said if target.kind == "multioutput" else said[:, None]


def _refuse_bad(target: TargetSpec, said: Floats, true: NDArray[np.generic], known: Rows) -> None:
    """Refuse predictions and answers that no score can be made of."""
    is_finite = np.isfinite(said).all(axis=-1) | ~known
    if not is_finite.all():
        raise TrainingError(
            f"{int((~is_finite).any(axis=1).sum())} of {len(said)} windows have predictions that are not finite; the "
            "training diverged, lower the learning rate"
        )
    if target.kind != "regression":
        inside = (said[known] >= -_ROUNDING) & (said[known] <= 1 + _ROUNDING)
        assert inside.all(), "these are logits; probabilities lie between 0 and 1"
        assert (np.asarray(true[known], dtype=np.float64) < said.shape[-1]).all(), "a class that the target lacks"
