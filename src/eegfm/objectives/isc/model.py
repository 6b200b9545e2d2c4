"""Objective of inter-subject correlation.

Shapes: B windows of all ranks, of B / 2 moments as two persons saw them.
"""

import torch

from eegfm.batch import StoredBatch
from eegfm.inference.backbone import Backbone
from eegfm.losses.inter_subject import inter_subject_correlation
from eegfm.nn.context import Context
from eegfm.objectives.base import LossOutput
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.isc.config import IscConfig
from eegfm.objectives.pairs.objective import PairObjective


class Isc(PairObjective):
    """Make features follow a movie alike in all who see it.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.
        labels: See the base class.
    """

    def __init__(self, config: IscConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__(config, backbone, labels=labels)
        self.config = config

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss; see the base class.

        Logs hold ``loss``, and ``baseline_loss``, that of constant features.
        """
        embedded = self.embed(batch, context)
        first, second = embedded.projected.chunk(2)
        loss = inter_subject_correlation(first, second, decorrelation=self.config.decorrelation)
        return LossOutput(loss, {"loss": loss.detach(), "baseline_loss": torch.ones_like(loss)}, embedded.own)
