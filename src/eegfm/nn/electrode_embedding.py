"""Embedding of electrode positions, shared by encoders and adapters."""

import math

import torch
from torch import Tensor, nn

from eegfm.batch import WindowBatch

_LONGEST_WAVELENGTH_M = 0.4  # twice a head: one sign of the sine from ear to ear


class ElectrodeEmbedding(nn.Module):
    """Place of an electrode as a vector: Fourier features of x, y, z, then a small network. All in float32.

    Args:
        n_frequencies: Frequencies per axis, each twice the one before.
        d_model: Width D.
        jitter_m: Standard deviation, per axis, of what is added to places while training. It comes from torch's global
            generator, as dropout does, which training seeds for every micro-batch.
    """

    radians_per_m: Tensor

    def __init__(self, n_frequencies: int, d_model: int, jitter_m: float = 0.0) -> None:
        super().__init__()
        self.jitter_m = jitter_m
        radians_per_m = 2 * math.pi / _LONGEST_WAVELENGTH_M * 2.0 ** torch.arange(n_frequencies)
        self.register_buffer("radians_per_m", radians_per_m, persistent=False)
        self.network = nn.Sequential(nn.Linear(6 * n_frequencies, d_model), nn.GELU(), nn.Linear(d_model, d_model))

    def forward(self, positions_m: Tensor) -> Tensor:
        """(..., C, 3) metres to (..., C, D)."""
        if self.jitter_m and self.training:
            positions_m = positions_m + self.jitter_m * torch.randn_like(positions_m)
        phases = (positions_m.unsqueeze(-1) * self.radians_per_m).flatten(-2)
        # bfloat16 would round neighbours of a dense montage to the same features.
        with torch.autocast(positions_m.device.type, enabled=False):
            embedded: Tensor = self.network(torch.cat((phases.sin(), phases.cos()), dim=-1))
        return embedded


def embedded_channels(embedding: ElectrodeEmbedding, batch: WindowBatch) -> Tensor:
    """(B, C, D) places where the channels of a batch are measured, or (1, C, D) where all windows share them.

    A bipolar derivation is placed as it is measured: by the embedding of its first electrode minus that of its second.
    """
    is_jittered = embedding.training and embedding.jitter_m  # jitter tells windows apart
    positions_m, second_m = batch["channel_positions"], batch.get("second_positions")
    if not is_jittered:
        positions_m = shared_positions(positions_m)
        second_m = None if second_m is None else shared_positions(second_m)
    if second_m is None:
        embedded: Tensor = embedding(positions_m)
        return embedded
    first_m, second_m = derivation_ends(positions_m, second_m)
    difference: Tensor = embedding(first_m) - embedding(second_m)
    return difference


def derivation_ends(middle_m: Tensor, second_m: Tensor) -> tuple[Tensor, Tensor]:
    """Places of both electrodes of bipolar derivations, that which is subtracted last.

    Args:
        middle_m: (B, C, 3) halfway between them, as ``channel_positions`` of a batch are.
        second_m: (B, C, 3) of those that are subtracted, ``second_positions``.
    """
    return 2 * middle_m - second_m, second_m


def shared_positions(positions_m: Tensor) -> Tensor:
    """Return the first of a batch's (B, C, 3) positions where the batch is one montage spread without a copy."""
    return positions_m[:1] if positions_m.stride(0) == 0 else positions_m
