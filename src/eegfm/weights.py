"""Initial weights from a seed, and stored ones loaded strictly: the same for encoders, adapters and objectives."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eegfm.config import Buildable
from eegfm.errors import CheckpointError


def build_seeded(config: Buildable, seed: int, *args: Any) -> nn.Module:
    """Build a module whose initial weights follow from the seed alone; global random state is left as is.

    Args:
        config: What to build.
        seed: Of the weights.
        args: Passed on to ``config.build``.

    Raises:
        ConfigError: The configuration does not fit the data.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = config.build(*args)
    assert isinstance(module, nn.Module), f"{config.implementation} is no module"
    return module


def load_weights(module: nn.Module, tensors: Mapping[str, NDArray[np.generic]], prefix: str, what: str) -> None:
    """Load the weights of a module, all of them and no others.

    Args:
        module: Where to.
        tensors: By name; those whose names begin with the prefix belong to the module.
        prefix: Of its weights' names.
        what: What the module is, for messages.

    Raises:
        CheckpointError: Names or shapes differ from the module's; the message lists them.
    """
    weights = {name: value for name, value in tensors.items() if name.startswith(prefix)}
    _check(module.state_dict(prefix=prefix), weights, what)
    # Copied: numpy arrays out of a file can be read-only, which torch cannot express.
    values = {name.removeprefix(prefix): torch.from_numpy(np.array(value)) for name, value in weights.items()}
    module.load_state_dict(values, strict=True)


def _check(state: Mapping[str, Tensor], weights: Mapping[str, NDArray[np.generic]], what: str) -> None:
    missing = sorted(state.keys() - weights.keys())
    unexpected = sorted(weights.keys() - state.keys())
    mismatched = [
        f"{name} is {weights[name].shape}, needs {tuple(state[name].shape)}"
        for name in sorted(state.keys() & weights.keys())
        if tuple(state[name].shape) != weights[name].shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape": mismatched}
    problems = [f"{len(names)} {problem} ({_listed(names)})" for problem, names in found.items() if names]
    if problems:
        raise CheckpointError(
            f"weights do not fit the {what}: {'; '.join(problems)}; "
            "use the checkpoint with the version of eegfm that wrote it, or pretrain again"
        )


def _listed(names: Sequence[str], n_shown: int = 5) -> str:
    more = f", and {len(names) - n_shown} more" if len(names) > n_shown else ""
    return ", ".join(names[:n_shown]) + more
