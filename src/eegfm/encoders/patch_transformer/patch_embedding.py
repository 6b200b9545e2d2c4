"""Patch embeddings: the samples of one patch become one vector.

Shapes: B windows, C channels, P patches, S samples of a patch, D width.
"""

from typing import Literal

from torch import Tensor, nn

_N_MAPS = 32
_N_GROUPS = 4


def new_patch_embedding(kind: Literal["linear", "conv"], patch_samples: int, d_model: int) -> nn.Module:
    """Module from (..., S) to (..., D)."""
    if kind == "conv":
        return ConvPatchEmbedding(patch_samples, d_model)
    return nn.Linear(patch_samples, d_model)


class ConvPatchEmbedding(nn.Module):
    """Strided temporal convolutions with group norms, beside a projection of the samples.

    A group norm makes the patch's amplitude the same whatever it was; the projection keeps it.

    Args:
        patch_samples: S.
        d_model: Width D.
    """

    def __init__(self, patch_samples: int, d_model: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_inputs, length = 1, patch_samples
        for kernel, stride in ((9, 4), (5, 2), (3, 1)):
            layers.append(nn.Conv1d(n_inputs, _N_MAPS, kernel, stride, padding=kernel // 2))
            layers += [nn.GroupNorm(_N_GROUPS, _N_MAPS), nn.GELU()]
            n_inputs, length = _N_MAPS, -(-length // stride)
        self.convolutions = nn.Sequential(*layers)
        self.maps = nn.Linear(_N_MAPS * length, d_model)
        self.samples = nn.Linear(patch_samples, d_model)

    def forward(self, patches: Tensor) -> Tensor:
        """Embed (..., S) samples as (..., D)."""
        flat = patches.flatten(0, -2).unsqueeze(1)
        maps = self.maps(self.convolutions(flat).flatten(1)).view(*patches.shape[:-1], -1)
        embedded: Tensor = maps + self.samples(patches)
        return embedded
