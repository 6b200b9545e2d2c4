"""Backbone, head and loss of a supervised training.

Shapes: B windows; those of answers and logits stand in ``eegfm.targets``.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from eegfm.batch import StoredBatch
from eegfm.encoders.base import Encoded
from eegfm.heads.base import Head, build_head, grid_of, head_spec
from eegfm.inference.backbone import Backbone
from eegfm.losses.class_weights import counts_shape
from eegfm.losses.config import check_loss, default_loss
from eegfm.losses.supervised import supervised_loss
from eegfm.nn.context import Context, heads_seed
from eegfm.nn.lora import add_lora
from eegfm.objectives.base import LossOutput, Objective
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.supervised.config import SupervisedConfig
from eegfm.targets import TargetSpec

_LEAST_SD = 1e-6
"""Share of a mean below which a deviation is one of rounding."""


class Supervised(Objective):
    """Encode windows, and answer what is asked of each.

    Args:
        config: What is asked, the head and the loss.
        backbone: The encoder, and everything before it.
        labels: See the base class.

    ``said`` is what was said of the windows of the last micro-batch, (B, ...) probabilities or numbers; None before.
    """

    token_mean: Tensor
    token_sd: Tensor
    mean: Tensor
    sd: Tensor
    class_weights: Tensor | None

    def __init__(self, config: SupervisedConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__(config, backbone, labels=labels)
        self.config, self.target = config, config.target.spec
        self.loss_config = config.loss or default_loss(self.target)
        check_loss(self.loss_config, self.target)
        self.said: Tensor | None = None
        self.seed = heads_seed(torch.initial_seed())
        self.head: Head = build_head(
            config.head, head_spec(backbone.encoder, backbone.encoder_spec, self.target), self.seed
        )
        # State: what a head has learnt holds for tokens that were standardised like this.
        self.register_buffer("token_mean", torch.zeros(backbone.encoder.d_model))
        self.register_buffer("token_sd", torch.ones(backbone.encoder.d_model))
        shape = self.target.output_shape
        self._constant("mean", torch.tensor(config.mean or (0.0,) * shape[-1]))
        self._constant("sd", torch.tensor(config.sd or (1.0,) * shape[-1]))
        weights = torch.tensor(config.class_weights).view(counts_shape(self.target)) if config.class_weights else None
        self._constant("class_weights", weights)

    @torch.no_grad()
    def setup(self, batches: Iterable[StoredBatch], context: Context) -> None:
        """Standardise tokens for the head by their mean and deviation over the first windows of training.

        Encoders give tokens in which all windows are nearly alike: a head would first have to learn their mean.
        """
        if not self.config.standardizes:
            return
        was_training = self.training
        self.eval()
        n, total, squares = 0, torch.zeros_like(self.token_mean).double(), torch.zeros_like(self.token_mean).double()
        for batch in batches:
            grid = grid_of(self.backbone(batch))
            vectors = grid.vectors[grid.mask].double().flatten(0, -2)
            n, total, squares = n + len(vectors), total + vectors.sum(dim=0), squares + (vectors**2).sum(dim=0)
        mean = total / max(n, 1)
        sd = (squares / max(n, 1) - mean**2).clamp_min(0).sqrt()
        self.token_mean.copy_(mean)
        self.token_sd.copy_(torch.where(sd > _LEAST_SD * mean.abs().clamp_min(1.0), sd, torch.ones_like(sd)))
        self.train(was_training)

    def adapt(self) -> None:
        """Add low-rank changes to the encoder, whose weights have been taken over by now."""
        if self.config.lora is not None:
            lora = self.config.lora
            add_lora(self.backbone.lora_targets(), lora.rank, lora.alpha, self.seed)

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compare what the head says with the answers of the windows; see the base class."""
        encoded = self.encoder.encode_with_features(self.backbone.prepare(batch))
        logits = self._logits(encoded)
        truths = truths_of(batch["targets"], self.target)
        known = truths
        if self.target.kind == "regression":
            known = (truths - self.mean) / self.sd
        loss, _ = supervised_loss(self.loss_config, self.target, logits, known, self.class_weights)
        self.said = self._probabilities(logits.detach())
        return LossOutput(loss, {"loss": loss.detach()}, encoded)

    def logits(self, batch: StoredBatch) -> Tensor:
        """(B, ...) logits of stored windows; standardised numbers of a regression."""
        return self._logits(self.backbone(batch))

    def answer(self, encoded: Encoded) -> Tensor:
        """(B, ...) probabilities, or numbers, of encoded windows; see ``eegfm.targets``."""
        return self._probabilities(self._logits(encoded))

    def _logits(self, encoded: Encoded) -> Tensor:
        grid = grid_of(encoded)
        vectors = (grid.vectors - self.token_mean) / self.token_sd
        # A token that stands for the whole window is unlike the others, and stays as it is.
        logits: Tensor = self.head(grid._replace(vectors=vectors))
        return logits

    def _probabilities(self, logits: Tensor) -> Tensor:
        values = logits.float()
        if self.target.kind == "regression":
            return values * self.sd + self.mean
        return values.sigmoid() if self.target.kind == "multilabel" else values.softmax(dim=-1)

    def _constant(self, name: str, values: Tensor | None) -> None:
        """Keep numbers of the configuration on the device; the configuration, not the weights, holds them."""
        self.register_buffer(name, values, persistent=False)


def truths_of(targets: Mapping[str, Tensor], target: TargetSpec) -> Tensor:
    """Return the true answers of a batch in the shape that ``eegfm.targets`` gives their kind.

    Args:
        targets: ``label``, ``target`` or ``targets`` as ``eegfm.mixture.target_columns`` reads them.
        target: What is asked.
    """
    if target.kind in ("binary", "multiclass"):
        return targets["label"]
    if target.kind == "regression" and not target.outputs:
        return targets["target"].unsqueeze(-1)
    values = targets["targets"]
    return values.nan_to_num(nan=-1.0).long() if target.kind == "multioutput" else values
