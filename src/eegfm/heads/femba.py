"""FEMBA's classification head.

Shapes: B windows, P patches of time, D width.
"""

from torch import Tensor, nn
from torch.nn.functional import gelu

from eegfm.encoders.femba.mamba import Mamba
from eegfm.heads.base import Head, HeadSpec, TokenGrid
from eegfm.heads.config import FembaHeadConfig


class FembaHead(Head):
    """A projection, a Mamba block over time, the mean over time and a linear map (arXiv 2502.06438, section II).

    Behind an encoder with several rows of tokens, the block reads the mean over the rows.

    Args:
        config: Choices.
        spec: What it is built for.

    Raises:
        ConfigError: The scan is to run on mamba_ssm, which cannot be imported.
    """

    def __init__(self, config: FembaHeadConfig, spec: HeadSpec) -> None:
        super().__init__(config, spec)
        self.projection = nn.Linear(spec.d_model, config.width)
        self.block = Mamba(config.width, expand=config.expand, scan=config.scan)
        self.output = nn.Linear(config.width, spec.n_logits)

    def logits(self, grid: TokenGrid) -> Tensor:
        """Read the patches in their order; see the base class."""
        mapped: Tensor = self.output(self.block(gelu(self.projection(grid.over_rows))).mean(dim=1))
        return mapped
