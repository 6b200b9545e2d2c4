"""Freezing: parts of a model that are not trained in the first epochs of the plan, or not at all."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn

from eegfm.errors import ConfigError, TrainingError
from eegfm.nn.load_report import listed
from eegfm.objectives.base import Objective
from eegfm.training.blocks import FreezeRule
from eegfm.training.config import beyond_the_run
from eegfm.training.plan_epochs import PlanCallback
from eegfm.training.tensors import named_part


class Freezing(PlanCallback):
    """Keep parts of a model as they are, bit by bit, and release them when their epoch begins.

    A frozen weight has no gradient, so that no optimizer moves it, by momentum or weight decay either. A frozen part is
    in evaluation mode: batch norm keeps its statistics and dropout is off. Optimizers hold all weights from the start.

    What is frozen follows from the epoch alone: a run that goes on freezes anew. All weights, and statistics that
    belong to them, are compared with what they were when they are released and when the run ends. The state of a run
    holds their hashes, so that a run that goes on compares with the bits of its first start, and does so at once.

    Args:
        rules: What to freeze, and until when. A part that several rules name is frozen until the last of them ends.
        objective: What is trained; it holds the backbone. Weights that nothing trains anyhow are left as they are.
    """

    def __init__(self, rules: Sequence[FreezeRule], objective: Objective) -> None:
        super().__init__()
        self.rules, self._objective = rules, objective
        self._named = [(n, p) for n, p in _trainable(objective) if any(_is_in(n, rule.parts) for rule in rules)]
        self._modules: dict[str, nn.Module] = {}
        self._digests: dict[str, str] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have no part in evaluation mode that an earlier fit left so: Lightning would warn of it."""
        for part in self._modules.values():
            part.training = True

    def on_plan_epoch_start(self, trainer: Trainer, module: LightningModule, epoch: int) -> None:
        """Freeze what this epoch does not train, and release the rest.

        Raises:
            TrainingError: What is released has moved.
        """
        frozen = _frozen(self.rules, epoch)
        self._refuse_moved([name for name in self._digests if not _is_in(name, frozen)])
        for name, parameter in self._named:
            parameter.requires_grad_(not _is_in(name, frozen))
            if not parameter.requires_grad:
                parameter.grad = None
        held = {name: part for name, part in _modules(self._objective) if _is_in(name, frozen)}
        for part in (part for name, part in self._modules.items() if name not in held):
            part.training = True
        self._modules = held
        known = self._digests
        self._digests = {
            name: known.get(name) or _digest(value) for name, value in _state(self._objective) if _is_in(name, frozen)
        }

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Put frozen parts into evaluation mode: Lightning puts all of a module into training mode now and then."""
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        for part in self._modules.values():
            part.training = False

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare what is still frozen.

        Raises:
            TrainingError: It has moved.
        """
        self._refuse_moved(list(self._digests))

    def state_dict(self) -> dict[str, Any]:
        """Hashes of what is frozen, by name. What is frozen follows from the epoch."""
        return {"digests": dict(self._digests)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Compare what was frozen with the weights, which are put back before.

        The epoch is not taken over, so that the one in which a run goes on begins for this callback, too.

        Raises:
            TrainingError: It has moved.
        """
        self._digests = {str(name): str(digest) for name, digest in state["digests"].items()}
        self._refuse_moved(list(self._digests))

    def _refuse_moved(self, names: Sequence[str]) -> None:
        now = dict(_state(self._objective))
        moved = [name for name in names if name not in now or _digest(now[name]) != self._digests[name]]
        if moved:
            raise TrainingError(
                f"frozen weights have moved: {listed(moved)}; something else than the optimizer moves them; leave them "
                "out of freeze.parts"
            )


def check_freezing(
    objective: Objective, rules: Sequence[FreezeRule], n_steps: int, n_steps_per_epoch: int, phase: str
) -> None:
    """Refuse rules that name nothing or what moves by itself, leave nothing to train, or end after the run.

    Args:
        objective: The objective; it holds the backbone.
        rules: What to freeze.
        n_steps: Steps of the run.
        n_steps_per_epoch: Steps of an epoch of the plan.
        phase: Name of the phase, for messages.

    Raises:
        ConfigError: With the names that there are.
    """
    names = [name for name, _ in _trainable(objective)]
    for prefix in (prefix for rule in rules for prefix in rule.parts):
        if not any(_is_in(name, [prefix]) for name in names):
            raise ConfigError(
                f"{phase}.freeze.parts names {prefix!r}, which has no weights; there are {_known(prefix, names)}"
            )
    moved = {id(part) for part in objective.moved_parts}
    moving = [name for name, part in _modules(objective) if id(part) in moved]
    for prefix in (prefix for rule in rules for prefix in rule.parts):
        inside = [name for name in moving if _is_in(name, [prefix]) or _is_in(prefix, [name])]
        if inside:
            raise ConfigError(
                f"{phase}.freeze.parts names {prefix!r}, of which {inside[0]} follows every step without an optimizer; "
                f"name the other parts of {_known(f'{prefix}.', names)}"
            )
    for rule in rules:
        if rule.until_epoch is not None and rule.until_epoch * n_steps_per_epoch >= n_steps:
            raise ConfigError(f"{phase}.{beyond_the_run(rule.until_epoch, -(-n_steps // n_steps_per_epoch))}")
    if rules and all(_is_in(name, _frozen(rules, 0)) for name in names):
        raise ConfigError(
            f"{phase}.freeze.parts names {', '.join(_frozen(rules, 0))}: all weights are frozen and nothing is "
            "trained; leave out one of them"
        )


def _frozen(rules: Sequence[FreezeRule], epoch: int) -> tuple[str, ...]:
    """Prefixes of what is frozen in an epoch."""
    active = [rule for rule in rules if rule.until_epoch is None or epoch < rule.until_epoch]
    return tuple(prefix for rule in active for prefix in rule.parts)


def _is_in(name: str, prefixes: Iterable[str]) -> bool:
    """Tell whether a dotted name is one of these parts or inside one."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _trainable(objective: Objective) -> Iterator[tuple[str, nn.Parameter]]:
    return ((named_part(name), p) for name, p in objective.named_parameters() if p.requires_grad)


def _modules(objective: Objective) -> Iterator[tuple[str, nn.Module]]:
    return ((named_part(name), part) for name, part in objective.named_modules())


def _state(objective: Objective) -> Iterator[tuple[str, Tensor]]:
    return ((named_part(name), value) for name, value in objective.state_dict().items())


def _digest(value: Tensor) -> str:
    """Hash of the bits of a tensor."""
    data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return hashlib.blake2b(data.data, digest_size=16).hexdigest()


def _known(prefix: str, names: Sequence[str]) -> str:
    """The parts beside the one that was meant: those of the longest known part of its name."""
    parent = prefix
    while parent and not any(_is_in(name, [parent]) for name in names):
        parent = parent.rpartition(".")[0]
    start = f"{parent}." if parent else ""
    inside = (name.removeprefix(start).partition(".")[0] for name in names if name.startswith(start))
    return listed([f"{start}{part}" for part in dict.fromkeys(inside)], n_shown=12)
