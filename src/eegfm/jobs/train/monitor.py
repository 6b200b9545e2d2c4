"""Choose what the validations of a finetuning are compared by where their answers do not define what was asked."""

import logging
import math

import numpy as np
import pandas as pd

from eegfm.errors import SplitError
from eegfm.metrics.scoring.tally import point_scores
from eegfm.targets import TargetSpec
from eegfm.training.supervised.config import SupervisedParams
from eegfm.windows.answers import Truths, checked_answers

logger = logging.getLogger(__name__)

_LOSS = "val/loss"


def with_defined_monitor(
    params: SupervisedParams, mixture: pd.DataFrame, target: TargetSpec, name: str, *, is_chosen: bool
) -> SupervisedParams:
    """Compare validations by their loss where their answers do not define the monitor.

    Args:
        params: The training; ``monitor`` is what validations would be compared by.
        mixture: Runs of windows with their split and answers.
        target: What is asked.
        name: Name of the task, for messages.
        is_chosen: Whether the monitor was chosen, and is not the usual one.

    Raises:
        SplitError: The monitor was chosen, and the answers of the validation do not define it.
    """
    rows = mixture[mixture["split"] == "validation"]
    if params.monitor == _LOSS or rows.empty:
        return params
    why = _undefined(params.monitor.rpartition("/")[2], checked_answers(rows, target, name, to_learn=False), target)
    if why is None:
        return params
    if is_chosen:
        raise SplitError(
            f"task {name}: monitor {params.monitor} is not defined where {why}; set monitor: {_LOSS}, or keep more "
            "persons for validation (split.validation_ratio)"
        )
    logger.warning(
        "Task %s: %s, so that %s says little; validations are compared by %s", name, why, params.monitor, _LOSS
    )
    return params.model_copy(update={"monitor": _LOSS, "higher_is_better": False})


def _undefined(metric: str, truths: Truths, target: TargetSpec) -> str | None:
    """Say why true answers do not define a metric; None where they do."""
    if target.kind in ("binary", "multiclass"):
        # A model that says only the classes that are there would be best.
        missing = [one for number, one in enumerate(target.classes) if number not in truths]
        return f"no window of the validation has class {', '.join(missing)}" if missing else None
    n_classes = (len(target.classes),) if target.kind == "multioutput" else ()
    said = np.random.default_rng(0).random((*truths.shape, *n_classes))
    if n_classes:
        said /= said.sum(axis=-1, keepdims=True)
    # Where it depends on what is said, anything that varies has a value.
    is_defined = not math.isnan(point_scores(target, said, truths)[metric])
    return None if is_defined else "the answers of the validation hardly vary"
