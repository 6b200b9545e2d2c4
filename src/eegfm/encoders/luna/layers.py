"""Layers of LUNA (arXiv 2510.22257): queries that gather channels, and a transformer over time.

Shapes: S sequences, C channels, Q queries, E width of one, D any width, H heads, K head size, P patches.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, gelu, scaled_dot_product_attention

from eegfm.nn.stochastic_depth import drop_windows

_ROTARY_BASE = 10_000.0
_N_HEADS = 2  # per query, in all published sizes
_N_QUERY_LAYERS = 3


class FeedForward(nn.Module):
    """Two linear maps with a GELU between them, and a norm behind it where the publication has one.

    Args:
        d_in: Width of the input.
        d_hidden: Width between the maps.
        d_out: Width of the output.
        with_norm: Normalize the hidden vector.
        dropout_ratio: Share dropped behind each map while training.
    """

    def __init__(
        self, d_in: int, d_hidden: int, d_out: int, *, with_norm: bool = False, dropout_ratio: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout_ratio = dropout_ratio
        self.enter = nn.Linear(d_in, d_hidden)
        self.norm = nn.LayerNorm(d_hidden) if with_norm else nn.Identity()
        self.leave = nn.Linear(d_hidden, d_out)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_in) to (..., d_out)."""
        hidden = dropout(gelu(self.enter(x)), self.dropout_ratio, self.training)
        return dropout(self.leave(self.norm(hidden)), self.dropout_ratio, self.training)


class CrossAttention(nn.Module):
    """Attention of queries to keys and values of another sequence.

    Args:
        d_model: Width D of queries, keys and values.
        dropout_ratio: Share of attention weights dropped while training.
    """

    def __init__(self, d_model: int, dropout_ratio: float = 0.0) -> None:
        super().__init__()
        self.dropout_ratio = dropout_ratio
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.projection = nn.Linear(d_model, d_model)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Answer queries (S or 1, Q, D) from keys and values (S, C, D).

        Args:
            queries: One set for all sequences, or one for each.
            keys: Vectors that queries are compared with.
            values: Vectors that queries gather.
            key_mask: (S, C) bool, False for keys that no query may see. If no key is left, queries gather zero.
        """
        q, k, v = (
            _by_head(linear(x), _N_HEADS)
            for linear, x in ((self.query, queries), (self.key, keys), (self.value, values))
        )
        q = q.expand(k.shape[0], -1, -1, -1)
        ratio = self.dropout_ratio if self.training else 0.0
        if key_mask is None:
            gathered = scaled_dot_product_attention(q, k, v, dropout_p=ratio)
        else:
            # A softmax over nothing is no number: such queries see everything, and forget what they saw.
            is_blind = ~key_mask.any(dim=-1)[:, None, None, None]
            mask = key_mask[:, None, None] | is_blind
            gathered = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=ratio).masked_fill(is_blind, 0)
        answer: Tensor = self.projection(gathered.transpose(1, 2).flatten(2))
        return answer

    def weights(self, queries: Tensor, keys: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Attention weights (S, Q, C), averaged over heads, without dropout; zero where no key is left."""
        q, k = (_by_head(linear(x), _N_HEADS) for linear, x in ((self.query, queries), (self.key, keys)))
        logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if key_mask is None:
            return logits.softmax(dim=-1).mean(dim=1)
        unseen = ~key_mask[:, None, None]
        # Not minus infinity: where no key is left, the softmax of that is no number.
        masked = logits.masked_fill(unseen, torch.finfo(logits.dtype).min)
        return masked.softmax(dim=-1).masked_fill(unseen, 0.0).mean(dim=1)


class Layer(nn.Module):
    """Pre-norm attention within a sequence, then a pre-norm feed-forward part of four times the width.

    Args:
        d_model: Width D.
        n_heads: Heads.
        with_norm: Normalize the hidden vector of the feed-forward part.
        dropout_ratio: Share of activations dropped while training.
        drop_path_ratio: Share of residual branches dropped while training, drawn for each sequence.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        with_norm: bool = False,
        dropout_ratio: float = 0.0,
        drop_path_ratio: float = 0.0,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout_ratio = dropout_ratio
        self.drop_path_ratio = drop_path_ratio
        self.attention_norm = nn.LayerNorm(d_model)
        self.query_key_value = nn.Linear(d_model, 3 * d_model)
        self.projection = nn.Linear(d_model, d_model)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.feed_forward = FeedForward(d_model, 4 * d_model, d_model, with_norm=with_norm, dropout_ratio=dropout_ratio)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Update (S, P, D) vectors; with ``angles`` (see ``rotary_angles``) they know their order."""
        x = x + self._drop_path(self._attend(self.attention_norm(x), angles))
        return x + self._drop_path(self.feed_forward(self.feed_forward_norm(x)))

    def _attend(self, x: Tensor, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        q, k, v = (_by_head(part, self.n_heads) for part in self.query_key_value(x).chunk(3, dim=-1))
        if angles is not None:
            q, k = rotate_pairs(q, angles), rotate_pairs(k, angles)
        ratio = self.dropout_ratio if self.training else 0.0
        gathered = scaled_dot_product_attention(q, k, v, dropout_p=ratio)
        return dropout(self.projection(gathered.transpose(1, 2).flatten(2)), self.dropout_ratio, self.training)

    def _drop_path(self, branch: Tensor) -> Tensor:
        return drop_windows(branch, self.drop_path_ratio, training=self.training)


class ChannelQueries(nn.Module):
    """LUNA's channel unification: learned queries gather any number of channels, at a cost linear in this number.

    Args:
        n_queries: Queries Q.
        d_token: Width E of a token and of a query.
        dropout_ratio: Share of activations dropped while training.
    """

    no_weight_decay: ClassVar[tuple[str, ...]] = ("queries",)

    def __init__(self, n_queries: int, d_token: int, dropout_ratio: float) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.empty(n_queries, d_token))
        self.query_norm = nn.LayerNorm(d_token)
        self.key_norm = nn.LayerNorm(d_token)
        self.value_norm = nn.LayerNorm(d_token)
        self.attention = CrossAttention(d_token, dropout_ratio)
        self.feed_forward = FeedForward(d_token, 4 * d_token, d_token, with_norm=True, dropout_ratio=dropout_ratio)
        self.layers = nn.ModuleList(
            Layer(d_token, _N_HEADS, dropout_ratio=dropout_ratio) for _ in range(_N_QUERY_LAYERS)
        )

    def forward(self, tokens: Tensor, key_mask: Tensor | None) -> Tensor:
        """Gather the channels (S, C, E) of each patch: (S, Q, E).

        Args:
            tokens: Content and place of each channel.
            key_mask: (S, C) bool, False for channels that are absent; None where all may be seen.
        """
        queries = self.query_norm(self.queries).unsqueeze(0)
        x: Tensor = self.attention(queries, self.key_norm(tokens), self.value_norm(tokens), key_mask)
        x = x + self.feed_forward(x)
        for layer in self.layers:
            x = layer(x)
        return x

    def attention_weights(self, tokens: Tensor, key_mask: Tensor | None) -> Tensor:
        """(S, Q, C) what each query looks at; arguments as those of ``forward``."""
        queries = self.query_norm(self.queries).unsqueeze(0)
        return self.attention.weights(queries, self.key_norm(tokens), key_mask)


class TimeLayers(nn.Module):
    """LUNA's temporal encoder: rotary layers over the patches, all channels of a patch in one vector.

    Args:
        n_queries: Queries Q; each has two heads.
        d_token: Width E of a query; a vector is Q * E wide.
        n_layers: Layers.
        drop_path_ratio: Share of residual branches dropped while training.
    """

    def __init__(self, n_queries: int, d_token: int, n_layers: int, drop_path_ratio: float) -> None:
        super().__init__()
        self.head_size = d_token // _N_HEADS
        d_model, n_heads = n_queries * d_token, n_queries * _N_HEADS
        self.layers = nn.ModuleList(
            Layer(d_model, n_heads, with_norm=True, drop_path_ratio=drop_path_ratio) for _ in range(n_layers)
        )
        self.final_norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor) -> Tensor:
        """(B, P, Q * E) to the same."""
        angles = rotary_angles(x.shape[1], self.head_size, x.device)
        for layer in self.layers:
            x = layer(x, angles)
        normed: Tensor = self.final_norm(x)
        return normed


@torch.no_grad()
def initialise(gather: ChannelQueries, time: TimeLayers) -> None:
    """Draw what the publication draws in its own way, after ``xavier_linears``.

    Queries are orthogonal to each other (section 3), and branches over time shrink with their depth.
    """
    nn.init.orthogonal_(gather.queries)
    for depth, layer in enumerate(time.layers, start=1):
        assert isinstance(layer, Layer)
        layer.projection.weight.div_(math.sqrt(2 * depth))
        layer.feed_forward.leave.weight.div_(math.sqrt(2 * depth))


def xavier_linears(module: nn.Module) -> None:
    """Draw the weights of all linear maps of a module by Xavier's normal rule, with zero biases."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_normal_(part.weight)
            nn.init.zeros_(part.bias)


def rotary_angles(n_patches: int, head_size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine, each (P, K / 2), of the rotary angles of RoFormer (arXiv 2104.09864)."""
    half = head_size // 2
    rates = _ROTARY_BASE ** (-torch.arange(half, device=device) / half)
    angles = torch.arange(n_patches, device=device).unsqueeze(-1) * rates
    return angles.cos(), angles.sin()


def rotate_pairs(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the pairs (2k, 2k + 1) of (..., P, K) by each position's angles: the pairs that published weights mean."""
    cos, sin = angles
    first, second = x[..., 0::2], x[..., 1::2]
    return torch.stack((first * cos - second * sin, first * sin + second * cos), dim=-1).flatten(-2).to(x.dtype)


def _by_head(x: Tensor, n_heads: int) -> Tensor:
    """(S, P, D) to (S, H, P, K)."""
    S, P, D = x.shape
    return x.view(S, P, n_heads, D // n_heads).transpose(1, 2)
