"""Base of the objectives that predict vectors of hidden patches.

An encoder gives vectors of sites: of tokens, or of patches of all channels together.

Shapes: B windows, N tokens, S sites, M sites asked for, D width.
"""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from eegfm.batch import StoredBatch, WindowBatch, channel_padding
from eegfm.encoders.base import Encoder
from eegfm.inference.backbone import Backbone
from eegfm.losses.pointwise import negative_cosine, pointwise_loss
from eegfm.metrics.spread import mean_sd
from eegfm.nn.context import Context
from eegfm.nn.full_precision import full
from eegfm.nn.gather import of_all_ranks
from eegfm.objectives.base import Objective
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.latent.config import LatentConfig
from eegfm.objectives.latent.teacher import Teacher
from eegfm.objectives.patches.config import listed_choices
from eegfm.objectives.patches.grids import TokenGrids

logger = logging.getLogger(__name__)


class LatentObjective(Objective):
    """Targets are vectors of the untouched, whole window, each normalized over its dimensions.

    That normalization (I-JEPA, arXiv 2301.08243, and data2vec, arXiv 2202.03555, section 3.3) keeps the scale of a
    teacher's vectors from deciding the loss. Absent channels, padding or bad, are not scored.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.
        labels: See the base class.
        has_teacher: Whether a teacher gives the targets.

    Raises:
        ConfigError: The encoder cannot do what is asked, or its tokens know of hidden patches.
    """

    def __init__(
        self, config: LatentConfig, backbone: Backbone, *, labels: Labels = NO_LABELS, has_teacher: bool = True
    ) -> None:
        super().__init__(config, backbone, labels=labels)
        self.config = config
        if backbone.leaks:
            logger.warning("hidden patches leak into every token, as allowed: %s", listed_choices(backbone.leaks))
        self.grids = TokenGrids(backbone)
        self.teacher = Teacher(backbone, config.teacher_decay) if has_teacher else None

    @property
    def is_of_tokens(self) -> bool:
        """Tell whether the encoder gives a vector for each token; else it does for each patch of all channels."""
        return self.encoder.traits.output == "tokens"

    @property
    def encoders(self) -> list[Encoder]:
        """The trained encoder, and the teacher's."""
        return [self.encoder, *([] if self.teacher is None else [self.teacher.backbone.encoder])]

    @property
    def moved_parts(self) -> list[nn.Module]:
        """See the base class."""
        return [] if self.teacher is None else [self.teacher]

    def setup(self, batches: Iterable[StoredBatch], context: Context) -> None:
        """Let the teacher begin with the weights that training begins with."""
        if self.teacher is not None:
            self.teacher.copy_of(self.backbone)

    def after_step(self, context: Context) -> None:
        """Let the teacher follow."""
        if self.teacher is not None:
            self.teacher.follow(self.backbone, context)

    def present_tokens(self, batch: WindowBatch, n_patches: int) -> Tensor | None:
        """(B, N) bool tokens that each window really has, on the CPU; None where it has all."""
        padding = channel_padding(batch)
        if padding is None:
            return None
        rows = self.encoder.grouped(torch.from_numpy(padding)).any(dim=-1)
        return rows.repeat_interleave(n_patches, dim=1).expand(len(batch["signal"]), -1)

    def score(
        self, prediction: Tensor, target: Tensor, scored: Tensor | None, context: Context
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare predictions with targets.

        Args:
            prediction: (B, M, D).
            target: (B, M, D) normalized vectors.
            scored: (B, M) bool, which count; None for all.
            context: Place in the training.

        Returns:
            () mean distance over windows, and what is logged of it: ``baseline_loss``, that of always predicting the
            mean target of the micro-batch; ``cosine`` similarity; ``target_sd`` over all sites of all windows, and
            ``window_sd``, that of the windows' mean targets. Both are 0 after a collapse; the second alone where
            targets say which site they are of, and nothing of the window.
        """
        loss = self._distance(prediction, target, scored)
        with torch.no_grad():
            mean, square = _moments(target.detach(), scored, context)
            overall = mean.mean(dim=0)
            baseline = self._distance(overall.expand_as(target), target, scored)
            variance = square.mean(dim=0) - overall.square()
            logs = {
                "baseline_loss": baseline.detach(),
                "cosine": -negative_cosine(prediction, target, scored).detach(),
                "target_sd": variance.clamp_min(0).sqrt().mean(),
                "window_sd": mean_sd(mean),
            }
        return loss, logs

    def _distance(self, prediction: Tensor, target: Tensor, scored: Tensor | None) -> Tensor:
        if self.config.loss == "cosine":
            return 1 + negative_cosine(prediction, target, scored)
        return pointwise_loss(self.config.loss, prediction, target, scored)


def normalized_vectors(vectors: Tensor) -> Tensor:
    """(..., D) vectors with mean 0 and variance 1 over their dimensions, in float32."""
    return layer_norm(full(vectors), vectors.shape[-1:])


def _moments(target: Tensor, scored: Tensor | None, context: Context) -> tuple[Tensor, Tensor]:
    """(B, D) means and mean squares over the sites of each window, of the windows of all ranks."""
    if scored is None:
        found = torch.cat([target.mean(dim=1), target.square().mean(dim=1)], dim=1)
    else:
        weights = scored.unsqueeze(-1).to(target.dtype)
        n_scored = weights.sum(dim=1).clamp_min(1)
        found = torch.cat([(v * weights).sum(dim=1) / n_scored for v in (target, target.square())], dim=1)
    mean, square = of_all_ranks(found, context).chunk(2, dim=1)
    return mean, square
