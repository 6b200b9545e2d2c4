"""Names of weights in a checkpoint."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from eegfm.adapters.load import PREFIX as ADAPTER_PREFIX
from eegfm.encoders.load import PREFIX as ENCODER_PREFIX
from eegfm.nn.lora import merged_tensors
from eegfm.objectives.base import Objective

OBJECTIVE_PREFIX = "objective."


class NamedWeights:
    """Weights and statistics under the names that a checkpoint gives them, to be read and to be loaded into.

    Args:
        objective: The objective; it holds the backbone.
        has_own: Whether the objective's own are among them, or only those of the backbone.
    """

    def __init__(self, objective: Objective, *, has_own: bool = True) -> None:
        self._objective, self._has_own = objective, has_own

    def state_dict(self, *, prefix: str = "") -> dict[str, Tensor]:
        """Return the weights as they are, each name behind the prefix."""
        state = named_tensors(self._objective, has_own=self._has_own)
        return {f"{prefix}{name}": value for name, value in state.items()}

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> None:
        """Take weights over, all of them and no others."""
        backbone = self._objective.backbone
        backbone.encoder.load_state_dict(_of(ENCODER_PREFIX, state_dict), strict=strict)
        backbone.adapter.load_state_dict(_of(ADAPTER_PREFIX, state_dict), strict=strict)
        if self._has_own:
            state = self._objective.state_dict() | _of(OBJECTIVE_PREFIX, state_dict)
            self._objective.load_state_dict(state, strict=strict)


def named_tensors(objective: Objective, *, has_own: bool = True) -> dict[str, Tensor]:
    """Return all weights and statistics under the names that a checkpoint gives them, low-rank changes merged."""
    backbone = objective.backbone
    encoder = merged_tensors(backbone.encoder.state_dict())
    state = {f"{ENCODER_PREFIX}{name}": value for name, value in encoder.items()}
    state |= {f"{ADAPTER_PREFIX}{name}": value for name, value in backbone.adapter.state_dict().items()}
    own = objective.own_state() if has_own else {}
    return state | {f"{OBJECTIVE_PREFIX}{name}": value for name, value in own.items()}


def checkpoint_tensors(objective: Objective) -> dict[str, NDArray[np.generic]]:
    """Return copies of all weights and statistics under the names that a checkpoint gives them."""
    return {name: value.detach().cpu().numpy().copy() for name, value in named_tensors(objective).items()}


def named_part(name: str) -> str:
    """Return a checkpoint's name of a module or weight: ``encoder.norm`` for ``backbone.encoder.norm``."""
    if name == "backbone":
        return name
    inside = name.removeprefix("backbone.")
    return inside if inside != name else f"{OBJECTIVE_PREFIX}{name}".removesuffix(".")


def _of(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
