"""The logging half of the Lightning module of a training: what it logs, and the means of validations."""

from collections.abc import Mapping

from lightning import LightningModule

from eegfm.batch import StoredBatch, TrainStep
from eegfm.objectives.base import GivesCodes, LossOutput
from eegfm.training.logs.averages import Averages
from eegfm.training.logs.code_use import CodeUse
from eegfm.training.logs.gradients import GradientNorms
from eegfm.training.logs.history import History
from eegfm.training.logs.measures import FeatureMeasures
from eegfm.training.logs.names import VAL, aliases, history_columns
from eegfm.training.logs.pace import Pace, device_memory
from eegfm.training.logs.pending import Pending, Reduce
from eegfm.training.logs.training_log import TrainingLog, means
from eegfm.training.ranks import gathered, mean_of_ranks
from eegfm.training.setup import TrainingSetup


class LoggedModule(LightningModule):
    """Collect what steps and validations give, and write it where and when it is due.

    Args:
        setup: What is trained, how, and how long.
    """

    def __init__(self, setup: TrainingSetup) -> None:
        super().__init__()
        self.objective, self.params = setup.objective, setup.params
        self.weights = setup.weights
        self.n_steps, self.n_steps_per_epoch = setup.n_steps, setup.n_steps_per_epoch
        self.history = History()
        self.training_log = TrainingLog(self.weights, self.n_steps, self.n_steps_per_epoch)
        self.validation_values: dict[str, float] = {}
        """Values of the last validation by name, as ``val/loss``."""
        self.pace = Pace(self.objective.backbone)
        self._validation, self._measures, self._code_use = Pending(), FeatureMeasures(self.weights), CodeUse()

    @property
    def rank(self) -> int:
        """Number of this process; 0 without a trainer."""
        return 0 if self._trainer is None else self.global_rank

    @property
    def world_size(self) -> int:
        """Number of processes; 1 without a trainer."""
        return 1 if self._trainer is None else int(self.trainer.world_size)

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation, and write the epochs that ended before it: loggers take steps in order."""
        self.pace.pause()
        self.look_at_logs()
        self._validation = Pending()
        self._measures.forget()
        self._code_use.forget()

    def add_validated(self, step: int, batch: StoredBatch, output: LossOutput | None) -> None:
        """Count the losses of a micro-batch of a validation, and keep its features.

        Args:
            step: Number of the batch of the validation.
            batch: Windows as stored.
            output: What the objective gave for them; None where only features are asked for.
        """
        if output is not None:
            self._validation.add(step, batch["corpus"], len(batch["samples"]), output.logs)
            if isinstance(self.objective, GivesCodes):
                self._code_use.add(batch["corpus"], self.objective.code_counts)
        self._measures.add(step, batch, output, self.objective)

    def on_validation_epoch_end(self) -> None:
        """Log means and measures of features, per corpus and over the mixture."""
        self.validation_values = means(VAL, self._of_all_ranks(self._validation.averages()), self.weights)
        gather = None if self.world_size == 1 else gathered
        self.validation_values |= self._measures.take(self.global_step, self.history, gather, warns=self.rank == 0)
        self.validation_values |= self._code_use.take(gather)
        self.history.record(self.global_step, history_columns(self.validation_values))
        self._write(self.global_step, self.validation_values)
        self.log("val", self.validation_values["val/loss"], prog_bar=True, logger=False)

    def on_validation_end(self) -> None:
        """Leave the validation out of the speed."""
        self.pace.go_on()

    def is_logged(self, step: int) -> bool:
        """Return whether a step, counted from 0, is a point of the history."""
        return (step + 1) % self.params.log_interval_steps == 0 or step + 1 == self.n_steps

    def gradient_norms(self, step: TrainStep) -> GradientNorms | None:
        """Watch over what each corpus adds to the gradient of a step that is logged; None for every other step."""
        if not self.is_logged(step.number):
            return None
        return GradientNorms(self.parameters(), [batch["corpus"] for batch in step.batches], self._reduce)

    def record_training(self, n_done: int, rates: dict[str, float]) -> None:
        """Write a point of the history. This waits for the device.

        Args:
            n_done: Steps taken.
            rates: Learning rates of the last of them, by name.
        """
        by_step = self.training_log.take(n_done, self._reduce)
        values = by_step.pop(n_done)
        self._write_epochs(by_step)
        self.history.record(n_done, history_columns(values) | {"lr": next(iter(rates.values()))})
        self._write(n_done, values | rates | self.pace.look() | device_memory(self.device))
        self.log("loss", values["train/loss"], prog_bar=True, logger=False)

    def look_at_logs(self) -> None:
        """Bring values that wait to the host, means over ranks, and write epochs that have ended: before every save."""
        self._write_epochs(self.training_log.look(self._reduce))

    def _of_all_ranks(self, averages: Averages) -> Averages:
        return averages if self.world_size == 1 else Averages.merged(gathered(averages.state_dict()))

    def _write(self, n_done: int, values: dict[str, float]) -> None:
        """Give values to all loggers, and to callbacks that look for them in ``trainer.callback_metrics``."""
        for to in self.loggers:
            to.log_metrics(values, step=n_done)
        self.log_dict(values | aliases(values), logger=False)

    @property
    def _reduce(self) -> Reduce | None:
        """Gives means over ranks, each of which has as many windows of every corpus as the others; None in one."""
        return None if self.world_size == 1 else mean_of_ranks

    def _write_epochs(self, by_step: Mapping[int, dict[str, float]]) -> None:
        """Write means of epochs, each at its last step. Before the logged step or the validation that comes next."""
        for n_done, values in by_step.items():
            self._write(n_done, values)
