"""A small state of a training."""

from dataclasses import replace
from typing import Any

import torch

from checkpoints import header
from eegfm.training.state.content import TrainState


def a_state(step: int = 7, **changes: Any) -> TrainState:
    weight = torch.arange(600.0).reshape(20, 30)
    state = TrainState(
        header=header().model_copy(update={"n_steps": step}),
        tensors={"encoder.weight": weight},
        fingerprint="abc",
        step=step,
        n_steps=20,
        module={"objective.weight": weight, "objective.half": torch.ones(3, dtype=torch.bfloat16)},
        optimizer={
            "state": {0: {"step": torch.tensor(7.0), "empty": torch.empty(0)}},
            "param_groups": [{"betas": (0.9, 1)}],
        },
        schedule={"n_steps_done": step, "watched": None},
        parts={"history": {"rows": {5: {"loss": 0.5}}}},
        machine={"torch": "2", "is_fast": False},
    )  # fmt: skip
    return replace(state, **changes)
