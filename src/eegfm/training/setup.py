"""The parts of a training as one value: its objective, choices, shares and length."""

from collections.abc import Mapping
from dataclasses import dataclass

from eegfm.objectives.base import Objective
from eegfm.training.blocks import FreezeRules
from eegfm.training.config import PretrainParams


@dataclass(frozen=True)
class TrainingSetup:
    """An objective, the choices for its training, and the facts that only the data tell.

    Args:
        objective: The question that the backbone is trained to answer; it holds the backbone.
        params: Optimizer, schedule, seed, logging.
        weights: Declared share of each corpus, for means over the mixture in logs.
        n_steps: Optimizer steps in all.
        n_steps_per_epoch: Optimizer steps of a pass of the plan.
        freeze: Parts that are frozen at first, or to the end.
    """

    objective: Objective
    params: PretrainParams
    weights: Mapping[str, float]
    n_steps: int
    n_steps_per_epoch: int
    freeze: FreezeRules = ()
