"""Self-supervised training: one optimizer step over one micro-batch per corpus."""

from contextlib import AbstractContextManager

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from eegfm.adapters.base import Adapter
from eegfm.batch import StoredBatch
from eegfm.errors import TrainingError
from eegfm.nn.rereference import Rereference
from eegfm.objectives.base import Objective
from eegfm.training.config import PretrainParams
from eegfm.training.history import Averages, History, mixed, with_r2
from eegfm.training.randomness import DROPOUT, TRAINING_MASKS, VALIDATION_MASKS, generator_for, global_draws_for


class PretrainModule(LightningModule):
    """Train an objective on batches as the store keeps them.

    The loss is the mean per window within a corpus, then the corpora's weights. Masks follow from the seed,
    the number of the batch and the corpus alone, so that a run does not depend on what was drawn before. Dropout,
    stochastic depth and jitter follow from the same and from the rank; torch's global generators stay as they are.

    Args:
        objective: What is asked of the encoder; it holds the encoder.
        rereference: From stored integers to microvolts.
        adapter: From the data's channels to the encoder's; its weights are trained too.
        params: Optimizer, schedule, seed, logging.
        weights: Share of each corpus in the loss.
        n_steps: Optimizer steps in all, for the schedule.

    Raises:
        ConfigError: The adapter would mix patches of the encoder.
    """

    def __init__(
        self,
        objective: Objective,
        rereference: Rereference,
        adapter: Adapter,
        params: PretrainParams,
        weights: dict[str, float],
        n_steps: int,
    ) -> None:
        super().__init__()
        adapter.check_patches(objective.encoder.patch_samples)
        self.objective = objective
        self.rereference = rereference
        self.adapter = adapter
        self.params = params
        self.weights = weights
        self.n_steps = n_steps
        self.history = History()
        self._corpus_index = {corpus: k for k, corpus in enumerate(sorted(weights))}
        self._validation = Averages()

    def training_step(self, batches: list[StoredBatch], batch_idx: int) -> Tensor:
        """Weigh the corpora's losses of one step.

        Raises:
            TrainingError: The loss is not finite.
        """
        logs: dict[str, dict[str, Tensor]] = {}
        total = torch.zeros((), device=self.device)
        for batch in batches:
            corpus = batch["corpus"]
            with self._draws(batch_idx, corpus):
                loss, logs[corpus] = self._loss(batch, TRAINING_MASKS, batch_idx)
            total = total + self.weights[corpus] * loss
        self._refuse_divergence(total, batch_idx)
        if (batch_idx + 1) % self.params.log_interval_steps == 0 or batch_idx + 1 == self.n_steps:
            self._record_training(batch_idx + 1, logs)
        return total

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._validation = Averages()

    def validation_step(self, batches: list[StoredBatch], batch_idx: int) -> None:
        """Count the losses of one batch; its masks are the same in every validation."""
        for batch in batches:
            _, logs = self._loss(batch, VALIDATION_MASKS, batch_idx)
            values = {name: float(value) for name, value in logs.items()}
            self._validation.add(batch["corpus"], values, len(batch["samples"]))

    def on_validation_epoch_end(self) -> None:
        """Log means per corpus and over the mixture."""
        means = {f"val_{name}": value for name, value in self._means(self._validation.by_corpus()).items()}
        self.history.record(self.global_step, means)
        self.log_dict(means)
        self.log("val", means["val_loss"], prog_bar=True, logger=False)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Shorten the gradient of all weights together.

        Lightning's own way refuses fused optimizers in mixed precision, for the sake of a gradient scaler; bfloat16
        has none.
        """
        nn.utils.clip_grad_norm_(self.parameters(), self.params.gradient_clip)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build what the parameters name; the schedule moves once per optimizer step."""
        optimizer = self.params.optimizer.build(nn.ModuleList([self.adapter, self.objective]))
        schedule = self.params.schedule.build(optimizer, self.n_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _draws(self, batch_idx: int, corpus: str) -> AbstractContextManager[None]:
        """What draws without a generator while one micro-batch is trained on."""
        purpose = (DROPOUT, batch_idx, self._corpus_index[corpus], self.global_rank)
        return global_draws_for(self.device, self.params.seed, *purpose)

    def _loss(self, batch: StoredBatch, use: int, batch_idx: int) -> tuple[Tensor, dict[str, Tensor]]:
        corpus = self._corpus_index[batch["corpus"]]
        generator = generator_for(self.params.seed, use, batch_idx, corpus)
        loss, logs = self.objective(self.adapter(self.rereference(batch)), generator)
        return loss, logs

    def _record_training(self, step: int, logs: dict[str, dict[str, Tensor]]) -> None:
        by_corpus = {corpus: {name: float(value) for name, value in values.items()} for corpus, values in logs.items()}
        means = self._means(by_corpus)
        means["lr"] = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.history.record(step, means)
        self.log_dict({f"train_{name}": value for name, value in means.items()})
        self.log("loss", means["loss"], prog_bar=True, logger=False)

    def _means(self, by_corpus: dict[str, dict[str, float]]) -> dict[str, float]:
        """Values over the mixture, and per corpus with its name behind."""
        means = with_r2(mixed(by_corpus, self.weights))
        for corpus, values in by_corpus.items():
            means |= {f"{name}_{corpus}": value for name, value in with_r2(values).items()}
        return means

    def _refuse_divergence(self, loss: Tensor, batch_idx: int) -> None:
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss of step {batch_idx + 1} is {float(loss.detach())}; nothing is kept of this run; lower "
                f"optimizer.learning_rate (now {self.params.optimizer.learning_rate:g}) or gradient_clip "
                f"(now {self.params.gradient_clip:g}), and look for non-finite samples in the store"
            )
