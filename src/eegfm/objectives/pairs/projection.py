"""From pooled features of windows to the space where windows are compared.

Shapes: B windows of all ranks, X pooled features, K width of the projection.
"""

from torch import Tensor, nn

from eegfm.nn.full_precision import full
from eegfm.objectives.pairs.config import ProjectionConfig


class Projection(nn.Module):
    """Standardise each feature over the micro-batch, then a network of one hidden layer beside a linear map.

    The features of a fresh encoder point the same way for all windows. Cosine similarities of them are all near one,
    and the loss has next to no gradient. Standardised features differ. The linear map carries what is in them through
    from the first step on, before the hidden layer has learned to. Validations are standardised over their own
    micro-batches: nothing is remembered.

    Args:
        config: Widths, and the norm of the hidden layer.
        n_values: X.
    """

    def __init__(self, config: ProjectionConfig, n_values: int) -> None:
        super().__init__()
        norms: dict[str, nn.Module] = {
            "layer": nn.LayerNorm(config.hidden),
            "batch": nn.BatchNorm1d(config.hidden),
            "none": nn.Identity(),
        }
        first, last = nn.Linear(n_values, config.hidden), nn.Linear(config.hidden, config.out)
        self.standardised = nn.BatchNorm1d(n_values, affine=False, track_running_stats=False)
        self.network = nn.Sequential(first, norms[config.norm], nn.GELU(), last)
        self.shortcut = nn.Linear(n_values, config.out, bias=False)

    def forward(self, pooled: Tensor) -> Tensor:
        """Project (B, X) pooled features to (B, K)."""
        standardised = self.standardised(full(pooled))
        projected: Tensor = self.network(standardised) + self.shortcut(standardised)
        return projected
