"""Base of the objectives that compare the windows of a micro-batch with each other.

Shapes: B windows of all ranks, K width of the projection.
"""

from typing import NamedTuple

from torch import Tensor, nn

from eegfm.batch import Pairs, StoredBatch, WindowBatch
from eegfm.encoders.base import Encoded
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import Context
from eegfm.nn.gather import of_all_ranks
from eegfm.objectives.base import Objective
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.pairs.config import PairObjectiveConfig
from eegfm.objectives.pairs.pooling import new_pooling
from eegfm.objectives.pairs.projection import Projection


class Embedded(NamedTuple):
    """A micro-batch of pairs in the space where windows are compared.

    Args:
        projected: (B, K) projections of the windows of all ranks.
        pairs: Which windows belong together, of all ranks.
        own: What the encoder gave for the windows of this rank.
    """

    projected: Tensor
    pairs: Pairs
    own: Encoded


class PairObjective(Objective):
    """Encode every window of a micro-batch of pairs, put those of all ranks together, and project them.

    The projection sees all windows on every rank: what its batch norm counts does not depend on the number of ranks.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.
        labels: See the base class.
    """

    def __init__(self, config: PairObjectiveConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__(config, backbone, labels=labels)
        self.pooling = new_pooling(config.projection.sites, backbone.encoder)
        n_values = self.encoder.d_model if self.pooling is None else self.pooling.n_values
        self.projection = Projection(config.projection, n_values)

    @property
    def whole_parts(self) -> list[nn.Module]:
        """See the base class."""
        return [self.projection]

    def embed(self, batch: StoredBatch, context: Context) -> Embedded:
        """Encode and project the windows of a batch."""
        assert "pairs" in batch, "the plan draws pairs for this objective"
        windows = self.windows(batch, context)
        encoded = self.encode(windows, context)
        features = encoded.features
        pooled = features.pooled if self.pooling is None else self.pooling(features, windows)
        projected = self.projection(of_all_ranks(pooled, context))
        return Embedded(projected, pairs_of_all_ranks(batch["pairs"], context), encoded)

    def encode(self, windows: WindowBatch, context: Context) -> Encoded:
        """Encode the windows of this rank."""
        return self.encoder.encode_with_features(windows)


def pairs_of_all_ranks(pairs: Pairs, context: Context) -> Pairs:
    """Put the likeness of the windows of all ranks together, in the order of ``of_all_ranks``."""
    group, place = (of_all_ranks(column, context) for column in (pairs.group, pairs.place))
    block = None if pairs.block is None else of_all_ranks(pairs.block, context)
    return pairs._replace(group=group, place=place, block=block)
