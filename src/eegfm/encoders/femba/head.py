"""FEMBA's classification head, for comparisons with the publication."""

from torch import Tensor, nn
from torch.nn.functional import gelu

from eegfm.encoders.femba.mamba import Mamba
from eegfm.encoders.femba.selective_scan import ScanChoice


class FembaHead(nn.Module):
    """A projection, a Mamba block over time, the mean over time and a linear layer (arXiv 2502.06438, section II).

    Args:
        d_model: Width D of an encoded vector.
        n_outputs: Outputs K.
        scan: Implementation of the scan, see ``eegfm.encoders.femba.selective_scan.load_kernel``.
    """

    def __init__(self, d_model: int, n_outputs: int, scan: ScanChoice = "auto") -> None:
        super().__init__()
        self.projection = nn.Linear(d_model, 256)
        self.block = Mamba(256, expand=2, scan=scan)
        self.output = nn.Linear(256, n_outputs)

    def forward(self, encoded: Tensor) -> Tensor:
        """Reduce (B, P, D) encoded vectors to (B, K)."""
        outputs: Tensor = self.output(self.block(gelu(self.projection(encoded))).mean(dim=1))
        return outputs
