"""Read what models said of the test windows of a task, from the table of predictions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.metrics.scoring.answered import Output, outputs_of
from eegfm.plots.finetuning.models import ordered
from eegfm.targets import TargetSpec

_PER_OUTPUT = ("multilabel", "multioutput", "regression")


@dataclass(frozen=True)
class SaidOnce:
    """Answers of one training or initialisation of a model.

    Args:
        init: Number of the seed or initialisation.
        identities: (W,) identities of the persons of the windows.
        outputs: By output, its windows with a known answer.
    """

    init: int
    identities: NDArray[Any]
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class TaskSaid:
    """Answers of all models to the test windows of a task.

    Args:
        target: What is asked.
        by_model: By model, what each training or initialisation said of the test windows of all divisions.
    """

    target: TargetSpec
    by_model: dict[str, list[SaidOnce]]


def said_of(task: str, block: Mapping[str, Any], predictions: pd.DataFrame) -> TaskSaid:
    """Read what was said of a task.

    Args:
        task: ``corpus.task``.
        block: Its metrics.
        predictions: Predictions of all tasks: ``task``, ``model``, ``init``, ``identity``, ``truth``, ``said``.
    """
    target = TargetSpec.of_told(block["protocol"]["target"])
    rows = predictions[predictions["task"] == task]
    by_model = {
        model: [_once(target, int(str(init)), own) for init, own in rows[rows["model"] == model].groupby("init")]
        for model in ordered(dict.fromkeys(map(str, rows["model"])))
    }
    return TaskSaid(target, by_model)


def _once(target: TargetSpec, init: int, rows: pd.DataFrame) -> SaidOnce:
    said, truths = (np.stack([np.asarray(v, dtype=np.float64) for v in rows[c]]) for c in ("said", "truth"))
    shaped = said.reshape(len(rows), *target.output_shape)
    answers = truths if target.kind in _PER_OUTPUT else truths[:, 0]
    return SaidOnce(init, rows["identity"].to_numpy(), outputs_of(target, shaped, answers))
