"""Everything that a training needs to go on exactly where it was."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer

from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.errors import CheckpointError
from eegfm.nn.device import training_device
from eegfm.training.module import PretrainModule
from eegfm.training.tensors import named_tensors


@dataclass(frozen=True)
class TrainState:
    """State of a training between two optimizer steps. All tensors lie on the CPU and belong to the state alone.

    Args:
        header: Header of the encoder as it is now, with the steps taken so far.
        tensors: Weights under the names of an encoder file; their average where there is one.
        fingerprint: Name of the run.
        step: Optimizer steps taken.
        n_steps: Optimizer steps that the run was to take when the state was saved.
        module: State dict of the module; without an average it shares the memory of ``tensors``.
        optimizer: State dict of the optimizer.
        schedule: State dict of the schedule.
        parts: State dicts of all other parts, by name, see ``eegfm.training.stateful``.
        machine: What decides rounding: versions, threads, device, number of processes.
        awaits_validation: Whether a signal has ended the validation that belongs to this step: whoever goes on begins
            with it.
    """

    header: CheckpointHeader
    tensors: dict[str, Tensor] = field(repr=False)
    fingerprint: str
    step: int
    n_steps: int
    module: dict[str, Tensor] = field(repr=False)
    optimizer: dict[str, Any] = field(repr=False)
    schedule: dict[str, Any] = field(repr=False)
    parts: dict[str, dict[str, Any]] = field(repr=False)
    machine: dict[str, Any]
    awaits_validation: bool = False

    def checkpoint(self) -> Checkpoint:
        """Return the encoder of this moment."""
        return Checkpoint({name: value.numpy() for name, value in self.tensors.items()}, self.header)


def capture(module: PretrainModule, optimizer: Optimizer, step: int, *, awaits_validation: bool = False) -> TrainState:
    """Copy the state of a training.

    Args:
        module: The module.
        optimizer: Its optimizer, torch's own.
        step: Optimizer steps taken.
        awaits_validation: See ``TrainState``.
    """
    assert module.header is not None, "a module of eegfm.jobs.train has a header"
    assert module.schedule is not None, "configure_optimizers builds it"
    # The average lies where the weights lie while it is applied: the two never share copies.
    copies: dict[tuple[Any, ...], Tensor] = {}
    is_averaged = module.average is not None and module.average.has_started
    with module.averaged_weights():
        tensors = _copied(named_tensors(module.objective), {} if is_averaged else copies)
    return TrainState(
        header=module.header.model_copy(update={"n_steps": step}),
        tensors=tensors,
        fingerprint=module.header.fingerprint,
        step=step,
        n_steps=module.n_steps,
        module=_copied(dict(module.state_dict()), copies),
        optimizer=_copied(optimizer.state_dict(), {}),
        schedule=_copied(module.schedule.state_dict(), {}),
        parts={name: _copied(part.state_dict(), {}) for name, part in sorted(module.parts.items())},
        machine=machine_of(module, module.world_size),
        awaits_validation=awaits_validation,
    )


def restore(module: PretrainModule, state: TrainState) -> None:
    """Put weights and parts back; the optimizer is put back by ``restore_optimizer`` as soon as there is one.

    Raises:
        CheckpointError: The state has other parts than this training.
    """
    if state.parts.keys() != module.parts.keys():
        raise CheckpointError(
            f"the state of step {state.step} has the parts {', '.join(sorted(state.parts))}, this training "
            f"{', '.join(sorted(module.parts))}"
        )
    module.load_state_dict(state.module, strict=True)
    for name, part in module.parts.items():
        part.load_state_dict(state.parts[name])


def restore_optimizer(module: PretrainModule, optimizer: Optimizer, state: TrainState) -> None:
    """Put the optimizer and the schedule back. The schedule comes last: its curve may be another, of more steps."""
    optimizer.load_state_dict(state.optimizer)
    assert module.schedule is not None, "configure_optimizers builds it"
    module.schedule.load_state_dict(state.schedule)


def optimizer_of(module: PretrainModule) -> Optimizer:
    """Return torch's own optimizer, without Lightning's cover."""
    optimizer = module.optimizers()
    assert isinstance(optimizer, LightningOptimizer)
    return optimizer.optimizer


def machine_of(module: PretrainModule, n_processes: int) -> dict[str, Any]:
    """Return what decides how sums are rounded, as far as a program can know.

    Args:
        module: The module; it need not lie on its device yet.
        n_processes: Processes that train it.
    """
    return {
        "torch": str(torch.__version__),
        "processor": platform.machine(),
        "device": training_device(module.params.accelerator).type,
        "n_threads": torch.get_num_threads(),
        "n_processes": n_processes,
        "precision": module.params.precision,
    }


def _copied(value: Any, copies: dict[tuple[Any, ...], Tensor]) -> Any:
    """A copy on the CPU; what is one tensor stays one, so that it is written once."""
    if isinstance(value, Tensor):
        key = (value.data_ptr(), value.dtype, tuple(value.shape), value.stride(), value.device)
        if key not in copies or not value.numel():
            copies[key] = value.detach().to("cpu", copy=True).contiguous()
        return copies[key]
    if isinstance(value, Mapping):
        return {name: _copied(one, copies) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(one, copies) for one in value)
    return value
