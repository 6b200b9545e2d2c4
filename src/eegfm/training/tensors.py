"""Names of weights in a checkpoint."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from eegfm.adapters.load import PREFIX as ADAPTER_PREFIX
from eegfm.encoders.load import PREFIX as ENCODER_PREFIX
from eegfm.objectives.base import Objective

OBJECTIVE_PREFIX = "objective."


def named_tensors(objective: Objective) -> dict[str, Tensor]:
    """All weights and statistics as they are, under the names that a checkpoint gives them."""
    backbone = objective.backbone
    state = {f"{ENCODER_PREFIX}{name}": value for name, value in backbone.encoder.state_dict().items()}
    state |= {f"{ADAPTER_PREFIX}{name}": value for name, value in backbone.adapter.state_dict().items()}
    return state | {f"{OBJECTIVE_PREFIX}{name}": value for name, value in objective.own_state().items()}


def checkpoint_tensors(objective: Objective) -> dict[str, NDArray[np.generic]]:
    """Copies of all weights and statistics under the names that a checkpoint gives them."""
    return {name: value.detach().cpu().numpy().copy() for name, value in named_tensors(objective).items()}
