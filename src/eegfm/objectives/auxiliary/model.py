"""Objective of labels alone."""

from eegfm.batch import StoredBatch
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import Context
from eegfm.objectives.auxiliary.config import AuxiliaryObjectiveConfig
from eegfm.objectives.base import LossOutput, Objective
from eegfm.objectives.heads.heads import NO_LABELS, Labels


class Auxiliary(Objective):
    """Encode windows for the auxiliary heads, which give all of the loss.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.
        labels: See the base class.
    """

    def __init__(self, config: AuxiliaryObjectiveConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__(config, backbone, labels=labels)
        self.config = config

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Encode; the loss of its own is zero; see the base class."""
        encoded = self.encoder.encode_with_features(self.windows(batch, context))
        return LossOutput(encoded.vectors.new_zeros(()), {}, encoded)
