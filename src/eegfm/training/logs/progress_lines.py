"""Progress of a training: a bar on a terminal, lines where the output is a file, a pipe or a notebook."""

import logging
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from eegfm.batch import TrainStep
from eegfm.progress import Ticker, span_text
from eegfm.training.logs.training_log import TrainingLog

logger = logging.getLogger(__name__)


class StepBar(TQDMProgressBar):
    """Lightning's bar, which counts the steps of the plan: a training that goes on does not begin at zero.

    Args:
        n_steps: Optimizer steps in all.
        first_step: Steps that were taken already.
    """

    def __init__(self, n_steps: int, first_step: int = 0) -> None:
        super().__init__()
        self._n_steps, self._first_step = n_steps, first_step

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Show the steps that were taken already. Speed and time left are those of this process."""
        bar = self.train_progress_bar
        bar.total, bar.initial, bar.n = self._n_steps, self._first_step, self._first_step
        bar.refresh()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the number of the step."""
        step: TrainStep = batch
        super().on_train_batch_end(trainer, pl_module, outputs, batch, step.number)


class ProgressLines(Callback):
    """Log step, loss, speed and the time left every ten seconds.

    The loss is that of the last logged step: a look at another would wait for the device. Speed and time left come from
    the seconds since the first step ended, validations included.

    Args:
        n_steps: Optimizer steps in all.
        first_step: Steps that were taken already.
    """

    def __init__(self, n_steps: int, first_step: int = 0) -> None:
        self._n_steps, self._first_step = n_steps, first_step
        self._ticker: Ticker | None = None
        self._n_timed = self._n_windows = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say that the training begins, or with which step it goes on."""
        if not trainer.is_global_zero:
            return
        if self._first_step:
            numbers = (self._first_step + 1, self._n_steps, self._n_steps - self._first_step)
            logger.info("Training goes on: step %d of %d, %d left, on %s", *numbers, pl_module.device)
        else:
            logger.info("Training begins: %d steps on %s", self._n_steps, pl_module.device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count one step; log a line if it is due."""
        step: TrainStep = batch
        if self._ticker is None:  # the first step warms caches and may compile
            self._ticker = Ticker()
            return
        self._n_timed, self._n_windows = self._n_timed + 1, self._n_windows + step.n_windows
        if not trainer.is_global_zero or not self._ticker.is_due():
            return
        log = pl_module.training_log
        assert isinstance(log, TrainingLog), "the module of pretraining keeps it"
        loss, elapsed_s = "" if log.last_loss is None else f" loss {log.last_loss:.4g},", self._ticker.elapsed_s
        logger.info(
            "Step %d of %d,%s %.4g windows/s, about %s left",
            *(step.number + 1, self._n_steps, loss, self._n_windows / elapsed_s),
            span_text((self._n_steps - step.number - 1) * elapsed_s / self._n_timed),
        )
