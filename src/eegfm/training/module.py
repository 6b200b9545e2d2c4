"""Lightning module of pretraining: one optimizer step over the micro-batches of one step of the plan."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from lightning import Callback, LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from eegfm.batch import StoredBatch, TrainStep
from eegfm.checkpoint import Checkpoint, CheckpointHeader, save_checkpoint
from eegfm.encoders.base import Encoded, Encoder
from eegfm.errors import CheckpointError, TrainingError
from eegfm.nn.context import Context, Stage
from eegfm.nn.torch_file import save_torch_file
from eegfm.objectives.base import GivesCodes, LossOutput, Objective
from eegfm.training.compiling import compiled
from eegfm.training.config import PretrainParams
from eegfm.training.freezing import Freezing
from eegfm.training.logs.averages import Averages
from eegfm.training.logs.code_use import CodeUse
from eegfm.training.logs.gradients import GradientNorms
from eegfm.training.logs.history import History
from eegfm.training.logs.measures import FeatureMeasures
from eegfm.training.logs.names import VAL, aliases, history_columns, learning_rates
from eegfm.training.logs.pace import Pace, device_memory
from eegfm.training.logs.pending import Pending, Reduce
from eegfm.training.logs.training_log import TrainingLog, means
from eegfm.training.ranks import gathered, mean_of_ranks, share_gradients, share_running_statistics
from eegfm.training.schedules.base import Schedule
from eegfm.training.skipping import KeptBuffers, SkippedSteps, guarded_step
from eegfm.training.stateful import Stateful
from eegfm.training.tensors import checkpoint_tensors
from eegfm.training.weight_average import WeightAverage

WEIGHT_AVERAGE = "weight_average"
"""Name of the averaged weights among the parts of a state."""


class PretrainModule(LightningModule):
    """Train an objective on batches as the store keeps them.

    Every window of a step counts alike, whichever corpora the step holds: the plan decides the share of a corpus, by
    its windows. Gradients accumulate micro-batch by micro-batch, so that only one of them is in memory at a time. All
    random choices follow from the seed, the step, the corpus and, for dropout alone, the rank.

    Args:
        objective: The question that the backbone is trained to answer; it holds the backbone.
        params: Optimizer, schedule, seed, logging.
        weights: Declared share of each corpus, for means over the mixture in logs.
        n_steps: Optimizer steps in all, for the schedule.
        n_steps_per_epoch: Optimizer steps of a pass of the plan.
        header: Description of the run, for ``save_encoder``.
    """

    def __init__(
        self,
        objective: Objective,
        params: PretrainParams,
        weights: dict[str, float],
        n_steps: int,
        n_steps_per_epoch: int,
        header: CheckpointHeader | None = None,
    ) -> None:
        super().__init__()
        # One backward pass per micro-batch: Lightning's own loop runs one per step.
        self.automatic_optimization = False
        self.objective = objective
        self.params = params
        self.weights = weights
        self.n_steps, self.n_steps_per_epoch = n_steps, n_steps_per_epoch
        self.schedule: Schedule | None = None
        average = params.weight_average
        self.average = None if average is None else WeightAverage(average, objective, n_steps)
        # Once, and not per fit: a fit that was stopped leaves frozen what the next one is to release.
        self.freezing = Freezing(params.freeze, objective) if params.freeze else None
        self.header = header
        self.history = History()
        self.training_log = TrainingLog(weights, n_steps, n_steps_per_epoch)
        self.validation_values: dict[str, float] = {}
        """Values of the last validation by name, as ``val/loss``."""
        self._pace, self._validation = Pace(objective.backbone), Pending()
        self._measures, self._code_use = FeatureMeasures(weights), CodeUse()
        self.skipped = SkippedSteps(params.max_skipped_steps, _remedy(params))
        self.parts: dict[str, Stateful] = {
            "history": self.history,
            "skipped": self.skipped,
            "training_log": self.training_log,
        }
        """All that changes while the training runs, but weights, optimizer and schedule."""
        if self.average is not None:
            self.parts[WEIGHT_AVERAGE] = self.average
        if self.freezing is not None:
            self.parts["freezing"] = self.freezing
        follows = type(objective).after_step is not Objective.after_step
        self._kept_before = KeptBuffers(objective, follows=follows)
        self._compiled = ExitStack()
        self._context = Context(n_steps=n_steps, seed=params.seed, corpora=tuple(sorted(weights)))

    def forward(self, batch: StoredBatch) -> Encoded:
        """Encode windows as the store keeps them."""
        encoded: Encoded = self.objective.backbone(batch)
        return encoded

    def get_encoder(self) -> Encoder:
        """The encoder that is trained."""
        return self.objective.encoder

    def averaged_weights(self) -> AbstractContextManager[None]:
        """Have the averaged weights inside the block, where there is an average, and the module's own behind it."""
        return nullcontext() if self.average is None else self.average.applied()

    def checkpoint(self) -> Checkpoint:
        """Weights as they are now, or their average, and the header with the steps taken so far."""
        assert self.header is not None, "a module of eegfm.jobs.train has a header"
        n_steps = self.global_step if self._trainer is not None else 0
        with self.averaged_weights():
            tensors = checkpoint_tensors(self.objective)
        return Checkpoint(tensors, self.header.model_copy(update={"n_steps": n_steps}))

    def save_encoder(self, path: Path | str) -> None:
        """Write the encoder and all that is needed to use it: ``.safetensors``, as ``{phase}.encoder`` is, or ``.pt``.

        Raises:
            CheckpointError: A weight is not finite, or the file has another suffix.
        """
        save = {".safetensors": save_checkpoint, ".pt": save_torch_file}.get(Path(path).suffix)
        if save is None:
            raise CheckpointError(f"{path}: encoders are written to files that end in .safetensors or .pt")
        save(Path(path), self.checkpoint())

    def losses(self, step: TrainStep, stage: Stage = Stage.TRAINING) -> Iterator[tuple[str, float, LossOutput]]:
        """Compute the losses of a step, one micro-batch at a time.

        Ranks share the windows of a micro-batch in a training, and whole micro-batches in a validation.

        Args:
            step: Micro-batches of this rank.
            stage: The use of the step.

        Yields:
            Name of the corpus, share of the micro-batch in the windows of the step, and what the objective gives.
        """
        rank, world_size = (0, 1) if stage is Stage.VALIDATION else (self.rank, self.world_size)
        context = self._context.of(stage, step.number, rank, world_size)
        n_before: Counter[str] = Counter()
        for batch in step.batches:
            corpus = batch["corpus"]
            share = len(batch["samples"]) * world_size / step.n_windows
            part, cut = divmod(n_before[corpus], step.n_cuts)
            yield corpus, share, self._output(batch, replace(context, part=part, cut=cut, n_cuts=step.n_cuts))
            n_before[corpus] += 1

    def training_step(self, step: TrainStep, batch_idx: int) -> None:
        """Take one optimizer step.

        Raises:
            TrainingError: Too many losses or gradients were not finite until the last look, or processes were not given
                parts of the step.
        """
        self._refuse_unshared(step)
        optimizer, schedule = self.optimizers(), self.schedule
        assert isinstance(optimizer, LightningOptimizer)
        assert schedule is not None, "configure_optimizers builds it"
        optimizer.zero_grad()
        self._kept_before.keep()
        norms = self._gradient_norms(step)
        n_done = 0
        total = torch.zeros((), device=self.device)
        for corpus, share, output in self.losses(step):
            self.manual_backward(share * output.loss)
            if norms is not None:
                norms.look()
            self.training_log.add(step.number, corpus, len(step.batches[n_done]["samples"]), output.logs)
            n_done, total = n_done + 1, total + share * output.loss.detach()
            del output  # with all that is encoded, before the next micro-batch is
        total = self._share(total)
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters() if p.grad is not None])
        if self.params.gradient_clip is not None:
            nn.utils.clip_grads_with_norm_(self.parameters(), self.params.gradient_clip, norm)
        if norms is not None:
            self.training_log.add_gradient(step.number, norm, norms.norms)
        rates = learning_rates(optimizer.param_groups) if norms is not None else {}
        is_finite = _is_finite(total, norm)
        guarded_step(optimizer.optimizer, is_finite, optimizer.step)
        self.objective.after_step(self._context.of(Stage.TRAINING, step.number, self.rank, self.world_size))
        self._kept_before.put_back_unless(is_finite)
        self.skipped.count(is_finite, step.number)
        schedule.step()
        if self.average is not None:
            self.average.update(step.number, is_finite)
        self._pace.count(step, self.world_size)
        if self._is_logged(step.number):
            self.skipped.check()
            self._record_training(step.number + 1, rates)

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation, and write the epochs that ended before it: loggers take steps in order."""
        self._pace.pause()
        self.look_at_logs()
        self._validation = Pending()
        self._measures.forget()
        self._code_use.forget()

    def validation_step(self, step: TrainStep, batch_idx: int) -> None:
        """Count the losses of one batch; its masks are the same in every validation."""
        # Batch by batch: between two batches, whoever stores the state of the run finds the module's own weights.
        with self.averaged_weights():
            for (corpus, _, output), batch in zip(self.losses(step, Stage.VALIDATION), step.batches, strict=True):
                self._validation.add(step.number, corpus, len(batch["samples"]), output.logs)
                self._measures.add(step.number, batch, output, self.objective)
                if isinstance(self.objective, GivesCodes):
                    self._code_use.add(corpus, self.objective.code_counts)

    def on_validation_epoch_end(self) -> None:
        """Log means and measures of features, per corpus and over the mixture."""
        self.validation_values = means(VAL, self._of_all_ranks(self._validation.averages()), self.weights)
        if self.schedule is not None:
            self.schedule.observe(self.validation_values)
        gather = None if self.world_size == 1 else gathered
        self.validation_values |= self._measures.take(self.global_step, self.history, gather, warns=self.rank == 0)
        self.validation_values |= self._code_use.take(gather)
        self.history.record(self.global_step, history_columns(self.validation_values))
        self._write(self.global_step, self.validation_values)
        self.log("val", self.validation_values["val/loss"], prog_bar=True, logger=False)

    def on_validation_end(self) -> None:
        """Leave the validation out of the speed."""
        self._pace.go_on()

    def setup(self, stage: str) -> None:
        """Compile all encoders, for as long as a trainer has the module."""
        self._compiled.close()  # of a trainer that failed
        if self.params.compile:
            for encoder in self.objective.encoders:
                self._compiled.enter_context(compiled(encoder, len(self.objective.backbone.spec.montages)))

    def teardown(self, stage: str) -> None:
        """Leave the encoders as they were."""
        self._compiled.close()

    def configure_callbacks(self) -> Sequence[Callback]:
        """Freeze what the parameters name, in any trainer."""
        return [] if self.freezing is None else [self.freezing]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build what the parameters name. Lightning does not see the schedule, which moves once per optimizer step."""
        optimizer: Optimizer = self.params.optimizer.build(self.objective)
        self.schedule = self.params.schedule.build(optimizer, self.n_steps, self.n_steps_per_epoch)
        return optimizer

    @property
    def rank(self) -> int:
        """Number of this process; 0 without a trainer."""
        return 0 if self._trainer is None else self.global_rank

    @property
    def world_size(self) -> int:
        """Number of processes; 1 without a trainer."""
        return 1 if self._trainer is None else int(self.trainer.world_size)

    def _output(self, batch: StoredBatch, context: Context) -> LossOutput:
        with context.global_draws(self.device, batch["corpus"]):
            output: LossOutput = self.objective(batch, context)
        return output

    def _refuse_unshared(self, step: TrainStep) -> None:
        """Refuse a step of which this process has another number of windows than its share."""
        n_windows = sum(len(batch["samples"]) for batch in step.batches)
        if n_windows * self.world_size != step.n_windows:
            raise TrainingError(
                f"step {step.number + 1} has {step.n_windows} windows, but the loader gives {n_windows} to each of "
                f"{self.world_size} processes; train in one process (devices=1), or give every process its own part"
            )

    def on_fit_start(self) -> None:
        """Refuse a precision whose gradients are scaled, which the module would clip before they are scaled back.

        Raises:
            TrainingError: The trainer computes in float16.
        """
        if self.trainer.precision == "16-mixed":
            raise TrainingError("precision 16-mixed is not supported; choose 32-true or bf16-mixed")

    def _share(self, loss: Tensor) -> Tensor:
        """Exchange gradients and running statistics between ranks, once per step; the loss of the whole step."""
        if self.world_size == 1:
            return loss
        share_running_statistics(self)
        return share_gradients(self.parameters(), loss)

    def _of_all_ranks(self, averages: Averages) -> Averages:
        return averages if self.world_size == 1 else Averages.merged(gathered(averages.state_dict()))

    def _is_logged(self, step: int) -> bool:
        return (step + 1) % self.params.log_interval_steps == 0 or step + 1 == self.n_steps

    def _gradient_norms(self, step: TrainStep) -> GradientNorms | None:
        """Watch over what each corpus adds to the gradient of a step that is logged; None for every other step."""
        if not self._is_logged(step.number):
            return None
        return GradientNorms(self.parameters(), [batch["corpus"] for batch in step.batches], self._reduce)

    def _record_training(self, n_done: int, rates: dict[str, float]) -> None:
        by_step = self.training_log.take(n_done, self._reduce)
        values = by_step.pop(n_done)
        self._write_epochs(by_step)
        self.history.record(n_done, history_columns(values) | {"lr": next(iter(rates.values()))})
        self._write(n_done, values | rates | self._pace.look() | device_memory(self.device))
        self.log("loss", values["train/loss"], prog_bar=True, logger=False)

    def _write(self, n_done: int, values: dict[str, float]) -> None:
        """Give values to all loggers, and to callbacks that look for them in ``trainer.callback_metrics``."""
        for to in self.loggers:
            to.log_metrics(values, step=n_done)
        self.log_dict(values | aliases(values), logger=False)

    @property
    def _reduce(self) -> Reduce | None:
        """Gives means over ranks, each of which has as many windows of every corpus as the others; None in one."""
        return None if self.world_size == 1 else mean_of_ranks

    def look_at_logs(self) -> None:
        """Bring values that wait to the host, means over ranks, and write epochs that have ended: before every save."""
        self._write_epochs(self.training_log.look(self._reduce))

    def _write_epochs(self, by_step: Mapping[int, dict[str, float]]) -> None:
        """Write means of epochs, each at its last step. Before the logged step or the validation that comes next."""
        for n_done, values in by_step.items():
            self._write(n_done, values)


def _is_finite(loss: Tensor, norm: Tensor) -> Tensor:
    """Whether loss and gradient of a step are finite: those of all ranks, so that all decide alike."""
    return torch.isfinite(loss) & torch.isfinite(norm)


def _remedy(params: PretrainParams) -> str:
    """What helps against losses that are not finite."""
    return (
        f"; lower optimizer.learning_rate (now {params.optimizer.learning_rate:g}) or gradient_clip "
        f"(now {params.gradient_clip}), and look for non-finite samples in the store"
    )
