"""What every objective offers: a loss to train an encoder with, and a look at what it reconstructs."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TypedDict

from torch import Generator, Tensor, nn

from eegfm.batch import WindowBatch
from eegfm.encoders.base import Encoder

_ENCODER_PREFIX = "encoder."


class Reconstruction(TypedDict):
    """What a plot of hidden and predicted patches needs. P patches per channel, K values per patch."""

    signal_uv: Tensor  # (B, C, T) microvolts, as the encoder saw them
    mask: Tensor  # (B, C, P) bool, True where the patch was hidden
    target: Tensor  # (B, C, P, K) in the unit named below
    prediction: Tensor  # (B, C, P, K), predicted for every patch; only the hidden ones were asked for
    unit: str  # "uV", or "log10 uV²/Hz"
    frequencies_hz: list[float]  # (K,) of a spectrum; empty for samples


class Objective(nn.Module, ABC):
    """Base of all objectives.

    Args:
        encoder: The encoder that is trained. It is a submodule: ``parameters()`` holds both.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def fit_statistics(self, batches: Iterable[WindowBatch]) -> None:
        """Estimate what normalizes the target, from training windows only, each batch counted by its windows."""

    @abstractmethod
    def forward(self, batch: WindowBatch, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of one batch of one montage.

        Args:
            batch: Prepared windows.
            generator: Source of every random choice.

        Returns:
            Mean loss per window, and detached scalars worth logging: ``loss``, and where it makes sense
            ``baseline_loss``, the loss of an answer that does not look at the window.
        """

    @abstractmethod
    def reconstruct(self, batch: WindowBatch, generator: Generator) -> Reconstruction:
        """Show targets and predictions; the same generator state hides the same patches as ``forward``."""

    def own_state(self) -> dict[str, Tensor]:
        """Weights and statistics of the objective without those of the encoder."""
        state = self.state_dict()
        return {name: value for name, value in state.items() if not name.startswith(_ENCODER_PREFIX)}
