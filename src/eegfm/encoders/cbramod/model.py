"""CBraMod: patches from convolutions and spectra, convolutional positions, criss-cross attention.

Shapes: B windows, C channels, P patches per channel, N = C * P tokens, S samples of a patch, D width.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder, absent_rows_zeroed
from eegfm.encoders.cbramod.config import CbramodConfig
from eegfm.encoders.cbramod.layers import CrissCrossLayer, fan_out_linears
from eegfm.encoders.conv_patches import ConvPatches
from eegfm.encoders.tokens import Tokens, Visible
from eegfm.nn.patch_ops import fourier_matrix


class Cbramod(Encoder):
    """CBraMod (Wang et al., ICLR 2025, arXiv 2412.07236), for any number of channels.

    A token's place is what a convolution over the grid of channels and patches makes of its neighbours: the order of
    channels matters, where they sit on the head does not. Every encoding starts with that convolution, so that a
    masked token is convolved as masked. The publication masks a patch earlier, by zeros in place of its samples.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: A window is not whole patches.
    """

    def __init__(self, config: CbramodConfig, spec: SignalSpec) -> None:
        super().__init__(
            config,
            spec,
            d_model=config.d_model,
            patch_samples=config.patch_samples,
        )
        self.config = config
        D = config.d_model
        self.patch_embedding = ConvPatches(
            n_maps=config.n_maps, kernel=49, stride=25, n_groups=5, norm_over=config.patch_norm
        )
        self.spectrum_embedding = SpectrumEmbedding(config.patch_samples, D)
        self.position_embedding = nn.Conv2d(D, D, (19, 7), padding=(9, 3), groups=D)
        self.layers = nn.ModuleList(CrissCrossLayer(config) for _ in range(config.n_layers))
        fan_out_linears(self)

    def tokenize(self, batch: WindowBatch) -> Tokens:
        """Embed each patch and its spectrum; see the base class. Tokens have no place before they are encoded."""
        patches = self.patches(batch)
        C, P = patches.shape[1:3]
        patches = patches.flatten(1, 2)
        mask = self.key_mask(batch, P)
        spectra = self.spectrum_embedding(patches)
        # Map by map, all steps of a map side by side.
        content = self.patch_embedding(patches, mask).flatten(2)
        content = content + dropout(spectra, self.config.dropout_ratio, self.training)
        nowhere = torch.zeros(1, C * P, self.d_model, dtype=content.dtype, device=content.device)
        return Tokens(content, nowhere, C, P, mask)

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        """Place the tokens by convolution, run the layers; see the base class."""
        assert visible is None, "supports_visible is False"
        C, P = tokens.n_rows, tokens.n_patches
        x = absent_rows_zeroed(tokens).view(-1, C, P, self.d_model)
        x = x + self.position_embedding(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        across_channels, across_time = key_masks(tokens.key_mask, C, P)
        for layer in self.layers:
            x = layer(x, across_channels, across_time)
        encoded: Tensor = x.flatten(1, 2)
        return encoded

    def depth_layers(self) -> list[list[nn.Module]]:
        """List the layers; the convolution of positions is an embedding. See the base class."""
        return [[layer] for layer in self.layers]


class SpectrumEmbedding(nn.Module):
    """Projection of the magnitudes of a patch's Fourier transform, divided by its samples.

    Args:
        patch_samples: Samples S.
        d_model: Width D.
    """

    fourier: Tensor

    def __init__(self, patch_samples: int, d_model: int) -> None:
        super().__init__()
        self.register_buffer("fourier", fourier_matrix(patch_samples) / patch_samples, persistent=False)
        self.projection = nn.Linear(patch_samples // 2 + 1, d_model)

    def forward(self, patches: Tensor) -> Tensor:
        """(..., S) patches to (..., D)."""
        embedded: Tensor = self.projection(self.magnitudes(patches))
        return embedded

    def magnitudes(self, patches: Tensor) -> Tensor:
        """(..., S) patches to (..., S // 2 + 1)."""
        # bfloat16 would drown weak frequencies in the rounding of strong ones.
        with torch.autocast(patches.device.type, enabled=False):
            parts = torch.stack((patches @ self.fourier).chunk(2, dim=-1))
            # A norm, for its gradient of zero where a patch is flat.
            magnitudes: Tensor = torch.linalg.vector_norm(parts, dim=0)
        return magnitudes


def key_masks(mask: Tensor | None, n_channels: int, n_patches: int) -> tuple[Tensor | None, Tensor | None]:
    """Attention masks across channels, (B * P, 1, C, C), and across time, (B * C, 1, P, P); None where all see all.

    A token that no other may see still sees itself, so that no attention is left without keys.
    """
    if mask is None:
        return None, None
    by_channel = mask.view(-1, n_channels, n_patches)
    masks = []
    for keys in (by_channel.transpose(1, 2), by_channel):
        itself = torch.eye(keys.shape[2], dtype=torch.bool, device=mask.device)
        masks.append((keys.flatten(0, 1).unsqueeze(1) | itself).unsqueeze(1))
    return masks[0], masks[1]
