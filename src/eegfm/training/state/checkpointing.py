"""Save the state of a training while it runs, and end it after a signal."""

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch.optim import Optimizer

from eegfm.batch import TrainStep
from eegfm.stopping import Deferral
from eegfm.training.module import PretrainModule
from eegfm.training.ranks import meet, told_to_any
from eegfm.training.state.begin import validate_now
from eegfm.training.state.best import BestValidation
from eegfm.training.state.content import TrainState, capture, optimizer_of, restore_optimizer
from eegfm.training.state.folder import StateFolder


class Checkpointing(Checkpoint):
    """Save states between two optimizer steps. Lightning calls it last, after all whose counts it saves.

    A validation belongs to its step: the state of a step that is validated is saved after the validation. A signal ends
    a validation between two of its batches, because it may take long; whoever goes on begins with it. States are
    copied at once and written by a thread, so that training waits for the disk only if it is slower than an interval.

    Args:
        folder: Where states are kept.
        every_steps: Steps between two states; None for the last one only.
        validation_interval: Steps between two validations; 0 for none.
        best: The best validation so far.
        deferral: Knows whether a signal has come.
        first: State that the training goes on from.
    """

    def __init__(
        self,
        folder: StateFolder,
        every_steps: int | None,
        validation_interval: int,
        best: BestValidation,
        deferral: Deferral,
        first: TrainState | None,
    ) -> None:
        self._folder, self._every_steps, self._validation_interval = folder, every_steps, validation_interval
        self._best, self._deferral, self._first = best, deferral, first
        self._optimizer: Optimizer | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="eegfm-checkpoint")
        self._writing: Future[None] | None = None

    def __enter__(self) -> "Checkpointing":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the thread. An error of its own counts unless another has ended the training."""
        try:
            if kind is None:
                self._wait()
        finally:
            self._writer.shutdown()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the optimizer and the schedule back."""
        assert isinstance(pl_module, PretrainModule)
        self._optimizer = optimizer_of(pl_module)
        if self._first is not None:
            restore_optimizer(pl_module, self._optimizer, self._first)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the validation first that a signal has ended."""
        if self._first is not None and self._first.awaits_validation:
            validate_now(trainer)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Save what was there before the validation if a signal has come, and end."""
        assert isinstance(pl_module, PretrainModule)
        if self._is_stopped(pl_module):
            self._save(trainer, pl_module, trainer.global_step, awaits_validation=True)
            self._end(pl_module, trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if a state is due and no validation follows."""
        step: TrainStep = batch
        n_done = step.number + 1
        if not self._validation_interval or n_done % self._validation_interval:
            self._save_if_due(trainer, pl_module, n_done)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best state, and the state that was due before the validation."""
        assert isinstance(pl_module, PretrainModule)
        n_done = trainer.global_step
        if self._best.is_improved_by(pl_module.monitored, n_done):
            pl_module.look_at_logs()
            if trainer.is_global_zero:
                self._write(pl_module, n_done, is_best=True)
        if self._best.has_ended:
            trainer.should_stop = True
        if trainer.state.fn == TrainerFn.FITTING:
            self._save_if_due(trainer, pl_module, n_done)

    def finish(self, module: PretrainModule, step: int, *, writes: bool) -> TrainState:
        """Save the state of a training that has taken all steps, and its last validation.

        Args:
            module: The module.
            step: Steps taken.
            writes: Whether this process writes.
        """
        module.skipped.check()
        module.look_at_logs()
        state = capture(module, self._known(), step)
        if writes:
            self._wait()
            self._folder.save(state)
        is_stopped = self._is_stopped(module)
        if module.world_size > 1:
            meet()  # what the first rank has written is there for all
        if is_stopped:
            self._end(module, step)
        return state

    def _save_if_due(self, trainer: Trainer, module: LightningModule, n_done: int) -> None:
        assert isinstance(module, PretrainModule)
        # The last state is saved by ``finish``: a validation may follow it, and it says that the run is finished.
        if n_done == module.n_steps or self._best.has_ended:
            return
        is_stopped = self._is_stopped(module)
        is_due = self._every_steps is not None and n_done % self._every_steps == 0
        if is_stopped or is_due:
            self._save(trainer, module, n_done)
        if is_stopped:
            self._end(module, n_done)

    def _save(self, trainer: Trainer, module: PretrainModule, n_done: int, *, awaits_validation: bool = False) -> None:
        module.skipped.check()
        module.look_at_logs()
        if trainer.is_global_zero:
            self._write(module, n_done, is_best=False, awaits_validation=awaits_validation)

    def _end(self, module: PretrainModule, n_done: int) -> None:
        """End the training after a signal, when its state is on the disk."""
        self._wait()
        if module.world_size > 1:
            meet()  # who ends first makes ``torch.distributed.run`` end the others
        is_last = n_done == module.n_steps
        self._deferral.end(
            f"a checkpoint of step {n_done}{', the last one,' if is_last else f' of {module.n_steps}'} is kept; start "
            f"the same command again{'' if is_last else ', and the training goes on from there'}"
        )

    def _is_stopped(self, module: PretrainModule) -> bool:
        """Return whether a signal has come, to this rank or to another: all of them end after the same step."""
        if module.world_size == 1:
            return self._deferral.number is not None
        told = told_to_any(self._deferral.number)
        if told is not None:
            self._deferral.number = told
        return told is not None

    def _write(self, module: PretrainModule, step: int, *, is_best: bool, awaits_validation: bool = False) -> None:
        state = capture(module, self._known(), step, awaits_validation=awaits_validation)
        self._wait()
        self._writing = self._writer.submit(partial(self._folder.save_best if is_best else self._folder.save, state))

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _known(self) -> Optimizer:
        assert self._optimizer is not None, "on_fit_start notes it"
        return self._optimizer
