"""Transformer layers over a grid of tokens (rows by patches).

Queries, keys and values come out of one projection, head by head. So laid out, attention along either side of the grid
reads them where they are: no transposed copy is made.

Shapes: B windows, R rows, P patches, D width, H heads, K head size.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, layer_norm, linear, rms_norm, scaled_dot_product_attention, silu

from eegfm.encoders.patch_transformer.config import PatchTransformerConfig
from eegfm.nn.stochastic_depth import drop_windows

Across = Literal["rows", "patches", "both"]
"""Tokens that see each other: those of one patch, those of one row, or half the heads for each."""

_ROTARY_BASE = 10_000.0
_SHARPEST = 9.0
"""What the last head of a fresh layer adds, for its place, to the logit of a token for itself; other heads add less."""
_EPS = 1e-5


class Surroundings(NamedTuple):
    """Inputs of attention besides the tokens.

    Args:
        angles: Rotary angles of the patches, see ``rotary_angles``.
        rows_mask: (B, P, R) bool, False for tokens that no other of their patch may see; None where all may, which
            leaves attention its fastest kernels.
        patches_mask: (B, R, P), likewise for others of their row.
        places: (B, R, P, D) where each token lies, normalized, or 1 in place of B and of P where windows and patches
            share it; None for layers that do not look at places.
    """

    angles: tuple[Tensor, Tensor]
    rows_mask: Tensor | None = None
    patches_mask: Tensor | None = None
    places: Tensor | None = None

    @classmethod
    def of(cls, time: Tensor, mask: Tensor | None, head_size: int, places: Tensor | None = None) -> "Surroundings":
        """Prepare what all layers share.

        Args:
            time: Patch numbers (P,), or (B, 1, P) where windows differ.
            mask: (B, R, P) tokens that others may see; None where all may.
            head_size: K.
            places: See the class; not yet normalized.
        """
        angles = rotary_angles(time, head_size)
        if places is not None:
            places = layer_norm(places, places.shape[-1:], eps=_EPS)
        if mask is None:
            return cls(angles, places=places)
        return cls(angles, _seen_by_others(mask.transpose(1, 2)), _seen_by_others(mask), places)


class Layer(nn.Module):
    """Pre-norm attention, then a pre-norm feed-forward part.

    Args:
        config: Choices of the encoder.
        across: Tokens that see each other.
        drop_path_ratio: Share of windows that pass by each of the two parts while training (stochastic depth, Huang et
            al. 2016, arXiv 1603.09382).
    """

    def __init__(self, config: PatchTransformerConfig, across: Across, drop_path_ratio: float = 0.0) -> None:
        super().__init__()
        D = config.d_model
        self.dropout_ratio, self.drop_path_ratio = config.dropout_ratio, drop_path_ratio
        self.attention_norm = new_norm(config.norm, D)
        looks_at_places = across != "patches" or config.attention == "full"
        self.attention = GridAttention(D, config.head_size, across, looks_at_places=looks_at_places)
        self.feed_forward_norm = new_norm(config.norm, D)
        self.feed_forward = new_feed_forward(config.feed_forward, D, config.mlp_ratio)

    def forward(self, x: Tensor, surroundings: Surroundings) -> Tensor:
        """Update (B, R, P, D) tokens."""
        x = x + self._drop(self.attention(self.attention_norm(x), surroundings))
        return x + self._drop(self.feed_forward(self.feed_forward_norm(x)))

    def _drop(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        x = dropout(x, self.dropout_ratio) if self.dropout_ratio else x
        return drop_windows(x, self.drop_path_ratio, training=True)


class GridAttention(nn.Module):
    """Multi-head attention along one side of the grid, or along both with half the heads each.

    Along rows, which are channels, there is no order; along patches, which are time, there are rotary angles.

    Args:
        d_model: Width D.
        head_size: K.
        across: Tokens that see each other.
        looks_at_places: Whether queries and keys know the places of tokens, besides what is left of them in the tokens.
    """

    def __init__(self, d_model: int, head_size: int, across: Across, *, looks_at_places: bool = False) -> None:
        super().__init__()
        self.head_size, self.across = head_size, across
        self.query_key_value = nn.Linear(d_model, 3 * d_model)  # H times query, key, value of K each
        self.projection = nn.Linear(d_model, d_model)
        n_heads = d_model // head_size // (2 if across == "both" else 1)
        self.places = PlaceQueries(d_model, n_heads, head_size) if looks_at_places else None

    def forward(self, x: Tensor, surroundings: Surroundings) -> Tensor:
        """Attend among (B, R, P, D) tokens."""
        if self.across == "both":
            for_rows, for_patches = map(self._by_head, self._halves(x))
            among_rows = across_rows(*self._with_places(for_rows, surroundings), surroundings)
            among_patches = across_patches(*_divided(for_patches), surroundings)
            attended = torch.cat((among_rows, among_patches), dim=-1)
        else:
            attend = across_rows if self.across == "rows" else across_patches
            by_head = self._by_head(self.query_key_value(x))
            attended = attend(*self._with_places(by_head, surroundings), surroundings)
        projected: Tensor = self.projection(attended)
        return projected

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries, keys and values of each half of the heads."""
        # Two products rather than one that is cut in two: each lies in memory as its attention reads it.
        layer = self.query_key_value
        weights, biases = layer.weight.chunk(2), layer.bias.chunk(2)
        return linear(x, weights[0], biases[0]), linear(x, weights[1], biases[1])

    def _by_head(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, 3, self.head_size)

    def _with_places(self, qkv: Tensor, surroundings: Surroundings) -> tuple[Tensor, Tensor]:
        """Divide (B, R, P, H, 3, K), and add to queries and keys what they are by their places."""
        query_key, value = _divided(qkv)
        if self.places is None:
            return query_key, value
        assert surroundings.places is not None, "these layers look at places"
        return query_key + self.places(surroundings.places), value


class PlaceQueries(nn.Module):
    """Map from places to parts of queries and keys, so that tokens find others by where they lie.

    In a token, content and place are one sum, and content is much the larger part: a fresh layer learns to look at
    neighbours in thousands of steps. Here places have maps of their own (untied positional encoding: Ke et al. 2021,
    arXiv 2006.15595). These begin alike for query and key, so a token begins with looking at what lies near it: in the
    last head at the nearest, in the first one nearly everywhere.

    Args:
        d_model: Width D of a place.
        n_heads: Heads H.
        head_size: K.
    """

    def __init__(self, d_model: int, n_heads: int, head_size: int) -> None:
        super().__init__()
        self.head_size = head_size
        self.query_key = nn.Linear(d_model, n_heads * 2 * head_size, bias=False)
        # A normalized place has length sqrt(D). So query times key over sqrt(K) is this for a token and itself.
        own = _SHARPEST * torch.linspace(1, 0.1, n_heads).flip(0).square()
        scale = (own / (d_model * math.sqrt(head_size))).sqrt()
        tied = torch.randn(n_heads, 1, head_size, d_model) * scale[:, None, None, None]
        with torch.no_grad():
            self.query_key.weight.copy_(tied.expand(-1, 2, -1, -1).reshape(-1, d_model))

    def forward(self, places: Tensor) -> Tensor:
        """Map (…, D) normalized places to what they add to queries and keys, (…, H, 2, K)."""
        query_key: Tensor = self.query_key(places)
        return query_key.view(*places.shape[:-1], -1, 2, self.head_size)


def across_rows(query_key: Tensor, value: Tensor, surroundings: Surroundings) -> Tensor:
    """Attend among the rows of each patch: (B, R, P, H, 2, K) and (B, R, P, H, K) to (B, R, P, H * K)."""
    R, P, H = query_key.shape[1:4]
    mask = surroundings.rows_mask
    if mask is not None:
        mask = mask.repeat_interleave(H, dim=1).unsqueeze(2)
    # For attention along the second axis, patches are more heads.
    q, k = query_key.flatten(2, 3).transpose(1, 2).unbind(3)
    v = value.flatten(2, 3).transpose(1, 2)
    attended = scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return attended.transpose(1, 2).reshape(-1, R, P, H * value.shape[-1])


def across_patches(query_key: Tensor, value: Tensor, surroundings: Surroundings) -> Tensor:
    """Attend among the patches of each row, as ``across_rows`` does; rows are more windows."""
    R, P, H = query_key.shape[1:4]
    mask = surroundings.patches_mask
    if mask is not None:
        mask = mask.flatten(0, 1)[:, None, None]
    q, k = rotate(query_key, surroundings.angles).flatten(0, 1).transpose(1, 2).unbind(3)
    v = value.flatten(0, 1).transpose(1, 2)
    attended = scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return attended.transpose(1, 2).reshape(-1, R, P, H * value.shape[-1])


def rotary_angles(time: Tensor, head_size: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of rotary time (RoFormer, arXiv 2104.09864), for ``rotate``.

    Args:
        time: (..., P) patch numbers.
        head_size: K.

    Returns:
        Two of (..., P, 1, 1, K), ones for heads and for query and key; the first half of the sines is negated.
    """
    half = head_size // 2
    rates = _ROTARY_BASE ** (-torch.arange(half, device=time.device) / half)
    angles = (time.unsqueeze(-1) * rates)[..., None, None, :]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the pairs (k, k + K/2) of (..., P, H, 2, K) by each patch's angles, in x's precision."""
    cos, sin = (a.to(x.dtype) for a in angles)
    first, second = x.chunk(2, dim=-1)
    swapped = torch.cat((second, first), dim=-1)
    return x * cos + swapped * sin


def new_norm(kind: Literal["layer", "rms"], width: int) -> nn.Module:
    """Norm over the last axis."""
    return nn.LayerNorm(width, eps=_EPS) if kind == "layer" else RmsNorm(width)


def new_feed_forward(kind: Literal["gelu", "swiglu"], width: int, ratio: float) -> nn.Module:
    """Feed-forward part whose hidden layer is ``ratio`` times as wide, or costs as much as if it were."""
    if kind == "swiglu":
        return SwiGlu(width, 8 * max(1, round(2 / 3 * ratio * width / 8)))
    hidden = round(ratio * width)
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class RmsNorm(nn.RMSNorm):
    """Root-mean-square norm (arXiv 1910.07467), computed in the precision of its weights."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""
        return rms_norm(x.to(self.weight.dtype), self.normalized_shape, self.weight, self.eps).to(x.dtype)


class SwiGlu(nn.Module):
    """Gated feed-forward part (Shazeer 2020, arXiv 2002.05202).

    Args:
        width: Width of input and output.
        hidden: Between.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_value = nn.Linear(width, 2 * hidden)
        self.output = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform the last axis."""
        gate, value = self.gate_value(x).chunk(2, dim=-1)
        out: Tensor = self.output(silu(gate) * value)
        return out


def _divided(qkv: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys (…, 2, K), and values (…, K)."""
    return qkv[..., :2, :], qkv[..., 2, :]


def _seen_by_others(mask: Tensor) -> Tensor:
    """The mask, but all True in sequences (last axis) without a single True.

    Attention over nothing is not a number. Every token of such a sequence is absent, so what comes out of it reaches no
    token that is not.
    """
    return mask | ~mask.any(dim=-1, keepdim=True)
