"""Lightning module of pretraining: one optimizer step over the micro-batches of one step of the plan."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from lightning import Callback
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
from eegfm.objectives.base import LossOutput, Objective
from eegfm.training.batch_norms import over_all_ranks
from eegfm.training.compiling import compiled
from eegfm.training.config import PretrainParams
from eegfm.training.freezing import Freezing
from eegfm.training.logged_module import LoggedModule
from eegfm.training.logs.names import learning_rates
from eegfm.training.ranks import share_gradients
from eegfm.training.schedules.base import Schedule
from eegfm.training.setup import TrainingSetup
from eegfm.training.skipping import KeptBuffers, SkippedSteps, guarded_step
from eegfm.training.stateful import Stateful
from eegfm.training.tensors import checkpoint_tensors
from eegfm.training.weight_average import WeightAverage

WEIGHT_AVERAGE = "weight_average"
"""Name of the averaged weights among the parts of a state."""


class PretrainModule(LoggedModule):
    """Train an objective on batches as the store keeps them.

    Every window of a step counts alike, whichever corpora the step holds: the plan decides the share of a corpus, by
    its windows. Gradients accumulate micro-batch by micro-batch, so that only one of them is in memory at a time. All
    random choices follow from the seed, the step, the corpus and, for dropout alone, the rank.

    Args:
        setup: What is trained, how, and how long.
        header: Description of the run, for ``save_encoder``.
    """

    def __init__(self, setup: TrainingSetup, header: CheckpointHeader | None = None) -> None:
        super().__init__(setup)
        objective, params = self.objective, self.params
        # One backward pass per micro-batch: Lightning's own loop runs one per step.
        self.automatic_optimization = False
        self.schedule: Schedule | None = None
        average = params.weight_average
        self.average = None if average is None else WeightAverage(average, objective, self.n_steps)
        # Once, and not per fit: a fit that was stopped leaves frozen what the next one is to release.
        self.freezing = Freezing(setup.freeze, objective) if setup.freeze else None
        self.header = header
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
        self._changed = ExitStack()
        self._context = Context(n_steps=self.n_steps, seed=params.seed, corpora=tuple(sorted(self.weights)))

    @property
    def monitor(self) -> str:
        """Key of the value that validations are compared by."""
        return "val/loss"

    def as_logged(self, monitored: float) -> float:
        """Return a compared value as it is logged: not negated."""
        return monitored

    @property
    def monitored(self) -> float:
        """Value of the last validation that is compared, the smaller the better."""
        return self.validation_values["val/loss"]

    def forward(self, batch: StoredBatch) -> Encoded:
        """Encode windows as the store keeps them."""
        encoded: Encoded = self.objective.backbone(batch)
        return encoded

    def get_encoder(self) -> Encoder:
        """Return the encoder that is trained."""
        return self.objective.encoder

    def averaged_weights(self) -> AbstractContextManager[None]:
        """Have the averaged weights inside the block, where there is an average, and the module's own behind it."""
        return nullcontext() if self.average is None else self.average.applied()

    def checkpoint(self) -> Checkpoint:
        """Return the weights as they are now, or their average, and the header with the steps taken so far."""
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
        norms = self.gradient_norms(step)
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
        self.pace.count(step, self.world_size)
        if self.is_logged(step.number):
            self.skipped.check()
            self.record_training(step.number + 1, rates)

    def validation_step(self, step: TrainStep, batch_idx: int) -> None:
        """Count the losses of one batch, whose masks are the same in every validation; or keep its features alone."""
        # Batch by batch: between two batches, whoever stores the state of the run finds the module's own weights.
        with self.averaged_weights():
            if step.only_measured:
                for batch in step.batches:
                    self.add_validated(step.number, batch, None)
                return
            for (_, _, output), batch in zip(self.losses(step, Stage.VALIDATION), step.batches, strict=True):
                self.add_validated(step.number, batch, output)

    def on_validation_epoch_end(self) -> None:
        """Log the validation, and tell the schedule of it."""
        super().on_validation_epoch_end()
        if self.schedule is not None:
            self.schedule.observe(self.validation_values)

    def setup(self, stage: str) -> None:
        """Have batch norms count the windows of all ranks, and encoders compiled, for as long as a trainer trains."""
        self._changed.close()  # by a trainer that failed
        if self.world_size > 1:
            self._changed.enter_context(over_all_ranks(self.objective, self.objective.whole_parts))
        if self.params.compile:
            for encoder in self.objective.encoders:
                self._changed.enter_context(compiled(encoder, len(self.objective.backbone.spec.montages)))

    def teardown(self, stage: str) -> None:
        """Leave batch norms and encoders as they were."""
        self._changed.close()

    def on_fit_start(self) -> None:
        """Refuse a precision whose gradients are scaled, which the module would clip before they are scaled back.

        Raises:
            TrainingError: The trainer computes in float16.
        """
        if self.trainer.precision == "16-mixed":
            raise TrainingError("precision 16-mixed is not supported; choose 32-true or bf16-mixed")

    def configure_callbacks(self) -> Sequence[Callback]:
        """Freeze what the parameters name, in any trainer."""
        return [] if self.freezing is None else [self.freezing]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build what the parameters name. Lightning does not see the schedule, which moves once per optimizer step."""
        optimizer: Optimizer = self.params.optimizer.build(self.objective)
        self.schedule = self.params.schedule.build(optimizer, self.n_steps, self.n_steps_per_epoch)
        return optimizer

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

    def _share(self, loss: Tensor) -> Tensor:
        """Exchange gradients between ranks, once per step; the loss of the whole step."""
        if self.world_size == 1:
            return loss
        return share_gradients(self.parameters(), loss)


def _is_finite(loss: Tensor, norm: Tensor) -> Tensor:
    """Return whether loss and gradient of a step are finite: those of all ranks, so that all decide alike."""
    return torch.isfinite(loss) & torch.isfinite(norm)


def _remedy(params: PretrainParams) -> str:
    """Return what helps against losses that are not finite."""
    return (
        f"; lower optimizer.learning_rate (now {params.optimizer.learning_rate:g}) or gradient_clip "
        f"(now {params.gradient_clip}), and look for non-finite samples in the store"
    )
