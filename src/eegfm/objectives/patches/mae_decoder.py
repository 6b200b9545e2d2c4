"""A light decoder: queries for single tokens attend to encoded tokens, never to each other.

Shapes: B windows, N tokens, Nv encoded tokens, M tokens asked for, D width of the encoder, W width here, K values.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from eegfm.encoders.tokens import Tokens, take

_HEAD_SIZE = 32
_MLP_RATIO = 4
_LONGEST_PERIOD_PATCHES = 10_000.0


class CrossDecoder(nn.Module):
    """Cross-attention from places to encoded tokens (CrossMAE: Fu et al. 2024, arXiv 2401.14391).

    A place is what the encoder gives as a token's position, and the sine and cosine of its patch's number: encoders
    that turn time into rotations do not say it in their output.

    Args:
        width: Width W, in heads of 32.
        n_layers: Its layers.
        d_model: Width D of encoded tokens.
        d_token: Width of positions; None where a token has no other place than its patch.
        n_values: Values K of a token.
    """

    def __init__(self, width: int, n_layers: int, *, d_model: int, d_token: int | None, n_values: int) -> None:
        super().__init__()
        self.width = W = width
        self.memory = nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, W))
        self.place = None if d_token is None else nn.Linear(d_token, W)
        self.layers = nn.ModuleList(CrossLayer(W) for _ in range(n_layers))
        self.head = nn.Sequential(nn.LayerNorm(W), nn.Linear(W, n_values))

    def forward(self, encoded: Tensor, tokens: Tokens, visible: Tensor, index: Tensor) -> Tensor:
        """Predict the values of some tokens.

        Args:
            encoded: (B, Nv, D).
            tokens: Places of all N tokens, and which of them may be seen; their content is not looked at.
            visible: (B, Nv) which of them are encoded.
            index: (B, M) which are asked for.

        Returns:
            (B, M, K).
        """
        times = patch_embedding(tokens.n_patches, self.width, encoded.device)
        places = times.repeat(tokens.n_rows, 1).unsqueeze(0)
        if self.place is not None:
            places = self.place(tokens.position) + places
        memory = self.memory(encoded) + take(places, visible)
        mask = None if tokens.key_mask is None else _seen(tokens.key_mask.take_along_dim(visible, dim=1))
        x = take(places, index)
        for layer in self.layers:
            x = layer(x, memory, mask)
        values: Tensor = self.head(x)
        return values


class CrossLayer(nn.Module):
    """Pre-norm cross-attention, then a pre-norm feed-forward part.

    Args:
        width: W.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_norm, self.memory_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.projection = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, _MLP_RATIO * width),
            nn.GELU(),
            nn.Linear(_MLP_RATIO * width, width),
        )

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """Update (B, M, W) queries from (B, Nv, W) memory, of which (B, 1, 1, Nv) may be seen; all where None."""
        q = self._heads(self.query(self.query_norm(x)))
        k, v = (self._heads(half) for half in self.key_value(self.memory_norm(memory)).chunk(2, dim=-1))
        attended = scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
        x = x + self.projection(attended)
        updated: Tensor = x + self.feed_forward(x)
        return updated

    @staticmethod
    def _heads(x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, _HEAD_SIZE).transpose(1, 2)


def _seen(mask: Tensor) -> Tensor:
    """(B, 1, 1, Nv) for attention; a window of which nothing may be seen, and no loss counts, sees everything."""
    return (mask | ~mask.any(dim=1, keepdim=True))[:, None, None]


def patch_embedding(n_patches: int, width: int, device: torch.device) -> Tensor:
    """(P, W) sines and cosines of patch numbers (Vaswani et al. 2017, section 3.5)."""
    half = width // 2
    rates = _LONGEST_PERIOD_PATCHES ** (-torch.arange(half, device=device) / half)
    angles = torch.arange(n_patches, device=device).unsqueeze(-1) * rates
    return torch.cat((angles.sin(), angles.cos()), dim=-1)
