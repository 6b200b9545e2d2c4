"""Initialise weights from a seed and load stored weights strictly, for encoders, adapters and objectives."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eegfm.config import Buildable
from eegfm.errors import CheckpointError, ConfigError
from eegfm.nn.allocation import GROWTH, SLACK_BYTES, AllocationLimit, machine_bytes
from eegfm.nn.load_report import STRICT, LoadExceptions, LoadReport

logger = logging.getLogger(__name__)


class Loadable(Protocol):
    """A module, or what else has weights by name."""

    def state_dict(self, *, prefix: str = "") -> dict[str, Any]:
        """Return the weights as they are, each name behind the prefix."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Any:
        """Take weights over, all of them and no others."""
        ...


Arrays = Mapping[str, NDArray[np.generic]]

_OWN_REMEDY = "use the checkpoint with the version of eegfm that wrote it, or pretrain again"


def build_seeded(
    config: Buildable, seed: int, *args: Any, n_weight_bytes: int | None = None, **named: Any
) -> nn.Module:
    """Build a module whose initial weights follow from the seed alone; global random state is left as is.

    Args:
        config: Configuration of the module.
        seed: Seed of the weights.
        args: Passed on to ``config.build``.
        named: The same.
        n_weight_bytes: Bytes of the weights that a checkpoint has for it. Without a checkpoint the limit is half of the
            machine's memory: what follows needs as much again, for gradients or for a file of weights.

    Raises:
        ConfigError: The configuration does not fit the data, or asks for more memory than the machine has.
        CheckpointError: The configuration asks for far more weights than the checkpoint has.
    """
    name = getattr(config, "name", type(config).__name__)
    if n_weight_bytes is None:
        limit = AllocationLimit(machine_bytes() // 2, lambda _: _too_large(name))
    else:
        limit = AllocationLimit(SLACK_BYTES + GROWTH * n_weight_bytes, lambda _: _too_few(name, n_weight_bytes))
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the generators of all devices, which nothing puts back.
        torch.default_generator.manual_seed(seed)
        with limit:
            module = config.build(*args, **named)
    assert isinstance(module, nn.Module), f"{config.implementation} is no module"
    return module


def _too_large(name: str) -> ConfigError:
    return ConfigError(
        f"{name} asks for more weights than half of this machine's {machine_bytes() / 1e9:.3g} GB hold; choose a "
        "smaller size, width or depth"
    )


def _too_few(name: str, n_weight_bytes: int) -> CheckpointError:
    return CheckpointError(
        f"the checkpoint's header asks for far more weights of {name} than the {n_weight_bytes / 1e6:.3g} MB that the "
        "checkpoint has; fetch it again, or use another one"
    )


def load_weights(
    module: Loadable,
    tensors: Arrays,
    prefix: str,
    what: str,
    *,
    exceptions: LoadExceptions = STRICT,
    left_out: Sequence[str] = (),
    unknown: Sequence[str] = (),
    remedy: str = _OWN_REMEDY,
) -> LoadReport:
    """Load the weights of a module, all of them and no others, but for exceptions that are named.

    Args:
        module: Target module; it is unchanged if an error is raised.
        tensors: By name; those whose names begin with the prefix belong to the module.
        prefix: Prefix of the names of its weights.
        what: Name of the module for messages.
        exceptions: Allowed differences.
        left_out: Names of the file that belong to no such module, for the report.
        unknown: Names of the file that could not be translated; they count as unexpected.
        remedy: Advice to the user if weights do not fit.

    Returns:
        Outcome of every weight. A summary is logged.

    Raises:
        CheckpointError: Names, shapes or types differ and no exception covers it, or an exception covers nothing.
    """
    state = module.state_dict(prefix=prefix)
    given = {name: value for name, value in tensors.items() if name.startswith(prefix)}
    weights = given | _resized(state, given, exceptions.resize)
    report = _compare(state, given, weights, left_out=left_out, unknown=unknown)
    problems = report.problems(exceptions)
    if problems:
        raise CheckpointError(f"weights do not fit the {what}: {'; '.join(problems)}; {remedy}")
    # Copied: numpy arrays out of a file can be read-only, which torch cannot express.
    loaded = {name: torch.from_numpy(np.array(weights[name])) for name in state.keys() & weights.keys()}
    module.load_state_dict({name.removeprefix(prefix): v for name, v in (state | loaded).items()}, strict=True)
    logger.info("Weights of the %s: %s", what, report.summary)
    return report


def _compare(
    state: Mapping[str, Tensor], given: Arrays, weights: Arrays, *, left_out: Sequence[str], unknown: Sequence[str]
) -> LoadReport:
    common = sorted(state.keys() & weights.keys())
    fits = {name: _described(weights[name]) == _described(state[name]) for name in common}
    is_resized = {name: weights[name] is not given[name] for name in common}
    return LoadReport(
        matched=tuple(n for n in common if fits[n] and not is_resized[n]),
        missing=tuple(sorted(state.keys() - weights.keys())),
        unexpected=tuple(sorted({*(weights.keys() - state.keys()), *unknown})),
        mismatched=tuple(f"{n} is {_described(given[n])}, needs {_described(state[n])}" for n in common if not fits[n]),
        left_out=tuple(sorted(left_out)),
        resized=tuple(f"{n} from {given[n].shape} to {weights[n].shape}" for n in common if fits[n] and is_resized[n]),
    )


def _described(value: Tensor | NDArray[np.generic]) -> str:
    """Shape, and the kind of number where it is not floating point: float16 loads into float32, 2.5 not into 2."""
    shape = str(tuple(value.shape))
    if isinstance(value, Tensor):
        return shape if value.is_floating_point() else f"{shape} {str(value.dtype).removeprefix('torch.')}"
    return shape if np.issubdtype(value.dtype, np.floating) else f"{shape} {value.dtype}"


def _resized(state: Mapping[str, Tensor], given: Arrays, axes: Mapping[str, int]) -> dict[str, NDArray[np.generic]]:
    """The tables that can be brought to the module's length along the named axis; others stay as they are."""
    tables = {}
    for name, axis in axes.items():
        if name not in state or name not in given:
            continue
        old, new = given[name].shape, tuple(state[name].shape)
        differing = [k for k, (m, n) in enumerate(zip(old, new, strict=False)) if m != n]
        if len(old) == len(new) and differing == [axis]:
            tables[name] = interpolated(given[name], axis, new[axis])
    return tables


def interpolated(table: NDArray[np.generic], axis: int, length: int) -> NDArray[np.generic]:
    """Stretch a table along one axis by linear interpolation; its first and last entries stay what they are.

    Args:
        table: Any shape.
        axis: Axis of the interpolation.
        length: Entries along it afterwards.
    """
    values = np.moveaxis(np.asarray(table, dtype=np.float64), axis, 0)
    place = np.linspace(0, len(values) - 1, length)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, len(values) - 1)
    share = (place - below).reshape(-1, *[1] * (values.ndim - 1))
    stretched = (1 - share) * values[below] + share * values[above]
    return np.moveaxis(stretched, 0, axis).astype(table.dtype)
