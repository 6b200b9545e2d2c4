"""Lightning module of supervised training: backbone, head, loss and metrics."""

import math
from typing import NamedTuple

from torch import Tensor, nn

from eegfm.batch import StoredBatch, TrainStep
from eegfm.checkpoint import CheckpointHeader
from eegfm.encoders.base import Encoder
from eegfm.errors import TrainingError
from eegfm.inference.table_loader import PlacedBatch
from eegfm.metrics.keys import with_aliases
from eegfm.nn.context import Context
from eegfm.objectives.base import LossOutput
from eegfm.objectives.supervised.model import Supervised, truths_of
from eegfm.training.logs.names import TRAIN, VAL, history_columns
from eegfm.training.logs.training_log import means
from eegfm.training.module import PretrainModule
from eegfm.training.setup import TrainingSetup
from eegfm.training.supervised.collected import Collected
from eegfm.training.supervised.config import SupervisedParams

TEST = "test"
COLLECTED = "collected"


class Predicted(NamedTuple):
    """What a model says of windows.

    Args:
        places: (B,) numbers of the windows in their table.
        features: (B, R, X) features of each row, see ``eegfm.encoders.base.Features``.
        mask: (B, R) False for a row that is only padding.
        said: (B, ...) probabilities or numbers, see ``eegfm.targets``.
    """

    places: Tensor
    features: Tensor
    mask: Tensor
    said: Tensor


class SupervisedModule(PretrainModule):
    """Train a backbone and a head to answer what is asked of a window, step by step as a pretraining is trained.

    Metrics are computed of probabilities of all windows of an epoch. Their keys are ``train/…``, ``val/…``, ``test/…``.

    Args:
        setup: What is trained, how, and how long. Its objective is a ``Supervised``.
        header: Description of the run, for ``save_encoder``.
    """

    def __init__(self, setup: TrainingSetup, header: CheckpointHeader | None = None) -> None:
        super().__init__(setup, header)
        assert isinstance(self.objective, Supervised), "a supervised training has answers"
        assert isinstance(self.params, SupervisedParams), "and parameters of its own"
        self.supervised, target = self.objective, self.objective.target
        self._trained, self._validated, self._tested = (Collected(target) for _ in range(3))
        self.parts[COLLECTED] = self._trained

    @property
    def monitor(self) -> str:
        """Key of the value that validations are compared by."""
        assert isinstance(self.params, SupervisedParams)
        return self.params.monitor

    def as_logged(self, monitored: float) -> float:
        """Return a compared value as it is logged: not negated."""
        assert isinstance(self.params, SupervisedParams)
        return -monitored if self.params.higher_is_better else monitored

    @property
    def monitored(self) -> float:
        """Value of the last validation that is compared, the smaller the better.

        Raises:
            TrainingError: It is not defined on the windows of the validation.
        """
        key, stage_loss = self.monitor, f"{VAL}/loss"
        value = self.validation_values[key]
        if math.isnan(value) and key != stage_loss:
            raise TrainingError(
                f"monitor {key} is not defined on the windows of the validation: they may all have one answer; set "
                f"monitor: {stage_loss}, or keep more persons for validation (split.validation_ratio)"
            )
        return self.as_logged(value)  # the smaller the better

    def forward(self, batch: StoredBatch) -> Tensor:  # type: ignore[override]
        """Return the probabilities or numbers of stored windows; see ``eegfm.targets``."""
        return self.supervised.answer(self.objective.backbone(batch))

    def get_encoder(self) -> Encoder:
        """Return the encoder that is trained."""
        return self.objective.encoder

    def get_task_head(self) -> nn.Module:
        """Return the head."""
        return self.supervised.head

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation; see the base class."""
        super().on_validation_epoch_start()
        self._validated.forget()

    def add_validated(self, step: int, batch: StoredBatch, output: LossOutput | None) -> None:
        """Count the losses of a micro-batch, and keep what was said of its windows; see the base class."""
        assert output is not None, "windows of a supervised validation have answers"
        self._validation.add(step, batch["corpus"], len(batch["samples"]), output.logs)
        self._add_said(self._validated, batch)

    def on_validation_epoch_end(self) -> None:
        """Log losses and metrics: of the validation, and of the training since the last one."""
        values = means(VAL, self._of_all_ranks(self._validation.averages()), self.weights)
        values |= {f"{VAL}/{name}": value for name, value in self._validated.take(self.device).items()}
        if not self._trained.is_empty:
            values |= {f"{TRAIN}/{name}": value for name, value in self._trained.take(self.device).items()}
        self.validation_values = values
        self.history.record(self.global_step, history_columns(values))
        self._write(self.global_step, values | with_aliases(values))
        self.log("val", values["val/loss"], prog_bar=True, logger=False)
        if self.schedule is not None:
            self.schedule.observe(values)

    def on_test_epoch_start(self) -> None:
        """Forget the last test."""
        self._tested.forget()
        self._test_losses: list[tuple[Tensor, int]] = []

    def test_step(self, step: TrainStep, batch_idx: int) -> None:
        """Count the loss of windows, and keep what is said of them."""
        with self.averaged_weights():
            for batch in step.batches:
                output = self.objective(batch, Context())
                self._add_said(self._tested, batch)
                self._test_losses.append((output.loss.detach(), len(batch["samples"])))

    def on_test_epoch_end(self) -> None:
        """Log the loss and the metrics of the test."""
        n_windows = sum(n for _, n in self._test_losses)
        loss = sum(float(value) * n for value, n in self._test_losses) / max(n_windows, 1)
        values = {f"{TEST}/loss": loss} | {
            f"{TEST}/{name}": value for name, value in self._tested.take(self.device).items()
        }
        self.log_dict(with_aliases(values), logger=False)

    def predict_step(self, placed: PlacedBatch, batch_idx: int) -> Predicted:
        """Return features and answers of the windows of a table."""
        return Predicted(*(part.cpu() for part in self.encoded_and_said(placed)))

    def encoded_and_said(self, placed: PlacedBatch) -> Predicted:
        """Return the same where the windows are."""
        encoded = self.objective.backbone(placed.batch)
        said = self.supervised.answer(encoded)
        return Predicted(placed.places, encoded.features.values.float(), encoded.features.mask, said)

    def _output(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute a loss, and keep what was said of windows that are trained on."""
        output = super()._output(batch, context)
        if self.training:
            self._add_said(self._trained, batch)
        return output

    def _add_said(self, collected: Collected, batch: StoredBatch) -> None:
        assert self.supervised.said is not None, "a loss was computed"
        collected.add(self.supervised.said, truths_of(batch["targets"], self.supervised.target))
