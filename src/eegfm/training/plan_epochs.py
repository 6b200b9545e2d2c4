"""Base of callbacks that count epochs: passes of the plan, not Lightning's one epoch for the whole run."""

from typing import Any, Protocol, cast

from lightning import Callback, LightningModule, Trainer

from eegfm.batch import TrainStep

_NONE = -1


class _Planned(Protocol):
    """Module that knows the length of its plan."""

    n_steps: int
    n_steps_per_epoch: int


class PlanCallback(Callback):
    """Hear of the first and the last step of every epoch of the plan.

    The number of the step decides, so that a run that goes on in the middle of an epoch is in the middle of that epoch.
    An epoch that the last step of the run cuts short ends as well. A run that is stopped before ends no epoch: it goes
    on. The state says which epoch has begun, and a run that takes it over does not begin that epoch again.

    A subclass with a state of its own adds it to ``state_dict``. One that overrides ``on_train_batch_start`` calls this
    class first; one that overrides ``on_train_batch_end`` calls it last.
    """

    def __init__(self) -> None:
        self._running = _NONE

    def on_plan_epoch_start(self, trainer: Trainer, module: LightningModule, epoch: int) -> None:
        """Hear that an epoch, counted from 0, begins; its first step has not been taken."""

    def on_plan_epoch_end(self, trainer: Trainer, module: LightningModule, epoch: int) -> None:
        """Hear that an epoch has ended; its last step has been taken, a validation after that step has not."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin an epoch with the first step of it that this callback sees."""
        epoch = _number(batch) // cast(_Planned, pl_module).n_steps_per_epoch
        if epoch != self._running:
            # A state that was saved between the last step of an epoch and this callback's turn at its end.
            self._end(trainer, pl_module)
            self._running = epoch
            self.on_plan_epoch_start(trainer, pl_module, epoch)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End an epoch with its last step, or with that of the run."""
        planned, n_done = cast(_Planned, pl_module), _number(batch) + 1
        if n_done % planned.n_steps_per_epoch == 0 or n_done == planned.n_steps:
            self._end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Return which epoch has begun and not ended; -1 between two epochs."""
        return {"epoch": self._running}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Be in the epoch that another callback of this kind was in."""
        self._running = int(state["epoch"])

    def _end(self, trainer: Trainer, module: LightningModule) -> None:
        if self._running != _NONE:
            epoch, self._running = self._running, _NONE
            self.on_plan_epoch_end(trainer, module, epoch)


def _number(batch: Any) -> int:
    step: TrainStep = batch
    return step.number
