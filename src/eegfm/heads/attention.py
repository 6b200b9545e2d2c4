"""Heads whose learned queries choose among the tokens of a window.

Shapes: B windows, N tokens, Q queries, D width.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, scaled_dot_product_attention

from eegfm.errors import ConfigError
from eegfm.heads.base import Head, HeadSpec, TokenGrid, masked_softmax, new_mlp
from eegfm.heads.config import AttentionPoolingConfig, QueryAggregationConfig


class AttentionPoolingHead(Head):
    """Means of the tokens with learned weights, then a linear map.

    Args:
        config: Choices.
        spec: What it is built for.
    """

    no_weight_decay: ClassVar[tuple[str, ...]] = ("queries",)

    def __init__(self, config: AttentionPoolingConfig, spec: HeadSpec) -> None:
        super().__init__(config, spec)
        self.dropout_ratio = config.dropout_ratio
        self.norm = nn.LayerNorm(spec.d_model)
        # Normed tokens have length sqrt(D): logits start near 1, so that a fresh head looks at all tokens.
        self.queries = nn.Parameter(torch.randn(config.n_queries, spec.d_model) * spec.d_model**-0.5)
        self.output = nn.Linear(config.n_queries * spec.d_model, spec.n_logits)

    def logits(self, grid: TokenGrid) -> Tensor:
        """Weigh, add and map; see the base class."""
        tokens, mask = grid.tokens
        scores = self.queries @ self.norm(tokens).transpose(1, 2)
        gathered = masked_softmax(scores, mask.unsqueeze(1)).to(tokens.dtype) @ tokens
        mapped: Tensor = self.output(dropout(gathered.flatten(1), self.dropout_ratio, self.training))
        return mapped


class QueryAggregationHead(Head):
    """LUNA's head: one learned query gathers all tokens by cross-attention, and an MLP reads what it has.

    The publication also drops a share of the logits while training. That is left out.

    Args:
        config: Choices.
        spec: What it is built for.

    Raises:
        ConfigError: The attention heads cannot share the width of a token evenly.
    """

    no_weight_decay: ClassVar[tuple[str, ...]] = ("query",)

    def __init__(self, config: QueryAggregationConfig, spec: HeadSpec) -> None:
        super().__init__(config, spec)
        D = spec.d_model
        if D % config.n_heads:
            raise ConfigError(
                f"finetune.head.n_heads {config.n_heads} does not divide the width {D} of the encoder's vectors; "
                "choose a divisor, such as 1"
            )
        self.n_heads, self.dropout_ratio = config.n_heads, config.dropout_ratio
        self.query = nn.Parameter(torch.randn(1, D))
        self.query_projection, self.key_projection, self.value_projection, self.projection = (
            nn.Linear(D, D) for _ in range(4)
        )
        self.network = new_mlp(D, (config.mlp_ratio * D,), spec.n_logits, config.dropout_ratio)

    def logits(self, grid: TokenGrid) -> Tensor:
        """Gather and map; see the base class."""
        tokens, mask = grid.tokens
        query = self._by_head(self.query_projection(self.query).expand(len(tokens), 1, -1))
        key, value = self._by_head(self.key_projection(tokens)), self._by_head(self.value_projection(tokens))
        ratio = self.dropout_ratio if self.training else 0.0
        # A softmax over nothing is no number: a window without a row sees its zeros.
        seen = mask | ~mask.any(dim=1, keepdim=True)
        gathered = scaled_dot_product_attention(query, key, value, attn_mask=seen[:, None, None], dropout_p=ratio)
        mapped: Tensor = self.network(self.projection(gathered.flatten(1)))
        return mapped

    def _by_head(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, heads, N, D / heads)."""
        B, N, D = x.shape
        return x.view(B, N, self.n_heads, D // self.n_heads).transpose(1, 2)
