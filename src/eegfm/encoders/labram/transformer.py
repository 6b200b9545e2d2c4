"""The transformer of LaBraM (ICLR 2024, arXiv 2405.18765, section 2.2). Its tokenizer uses it twice.

Shapes: B windows, N tokens, D width, H heads, K head size.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, pad, scaled_dot_product_attention

from eegfm.encoders.labram.config import LabramConfig
from eegfm.nn.stochastic_depth import drop_windows

NORM_EPS = 1e-6
_INITIAL_SD = 0.02
_MLP_RATIO = 4


class LabramTransformer(nn.Module):
    """Pre-norm layers over all tokens and one [CLS] token, then a norm.

    Args:
        config: Choices.
        n_layers: Number of layers; the configuration's if not given.
    """

    def __init__(self, config: LabramConfig, n_layers: int | None = None) -> None:
        super().__init__()
        n_layers = n_layers or config.n_layers
        steepness = config.drop_path_ratio / max(n_layers - 1, 1)
        self.cls_token = nn.Parameter(torch.empty(config.d_model))
        self.layers = nn.ModuleList(LabramLayer(config, k + 1, k * steepness) for k in range(n_layers))
        self.final_norm = nn.LayerNorm(config.d_model, eps=NORM_EPS)
        nn.init.trunc_normal_(self.cls_token, std=_INITIAL_SD)

    def forward(self, x: Tensor, cls_place: Tensor | None, key_mask: Tensor | None) -> Tensor:
        """(B, N, D) tokens to (B, 1 + N, D), the [CLS] token first.

        Args:
            x: Content and place of each token.
            cls_place: (D,) what is added to the [CLS] token; None for nothing.
            key_mask: (B, N) bool, False for tokens that no other may see; None where all may be seen.
        """
        first = self.cls_token if cls_place is None else self.cls_token + cls_place
        x = torch.cat((first.to(x.dtype).expand(len(x), 1, -1), x), dim=1)
        mask = None if key_mask is None else pad(key_mask, (1, 0), value=True)[:, None, None]
        for layer in self.layers:
            x = layer(x, mask)
        normed: Tensor = self.final_norm(x)
        return normed


class LabramLayer(nn.Module):
    """Attention with normed queries and keys, then a feed-forward part; both scaled, and skipped at random.

    Queries and keys are normed head by head (arXiv 2302.05442), each branch is scaled by a learned vector
    (CaiT, arXiv 2103.17239).

    Args:
        config: Choices.
        number: Number of the layer, from 1. Deeper layers have smaller initial weights.
        drop_path_ratio: Share of windows that skip a branch while training.
    """

    def __init__(self, config: LabramConfig, number: int, drop_path_ratio: float) -> None:
        super().__init__()
        D, K = config.d_model, config.d_model // config.n_heads
        self.n_heads, self.drop_path_ratio = config.n_heads, drop_path_ratio
        self.attention_norm = nn.LayerNorm(D, eps=NORM_EPS)
        self.query_key_value = nn.Linear(D, 3 * D, bias=False)
        self.query_bias = nn.Parameter(torch.zeros(D)) if config.query_value_bias else None
        self.value_bias = nn.Parameter(torch.zeros(D)) if config.query_value_bias else None
        self.query_norm = nn.LayerNorm(K, eps=NORM_EPS) if config.qk_norm else nn.Identity()
        self.key_norm = nn.LayerNorm(K, eps=NORM_EPS) if config.qk_norm else nn.Identity()
        self.projection = nn.Linear(D, D)
        self.feed_forward_norm = nn.LayerNorm(D, eps=NORM_EPS)
        self.enter = nn.Linear(D, _MLP_RATIO * D)
        self.leave = nn.Linear(_MLP_RATIO * D, D)
        scale = config.layer_scale
        self.attention_scale = nn.Parameter(torch.full((D,), scale)) if scale else None
        self.feed_forward_scale = nn.Parameter(torch.full((D,), scale)) if scale else None
        self.apply(initialise_linear)
        with torch.no_grad():
            for last in (self.projection, self.leave):
                last.weight.div_(math.sqrt(2 * number))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Update (B, S, D) tokens; ``mask`` (B, 1, 1, S) is False for tokens that no other may see."""
        x = x + self._branch(self._attend(self.attention_norm(x), mask), self.attention_scale)
        return x + self._branch(self.leave(gelu(self.enter(self.feed_forward_norm(x)))), self.feed_forward_scale)

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        B, S, D = x.shape
        bias = None
        if self.query_bias is not None and self.value_bias is not None:
            bias = torch.cat((self.query_bias, torch.zeros_like(self.query_bias), self.value_bias))
        qkv = linear(x, self.query_key_value.weight, bias)
        query, key, value = qkv.view(B, S, 3, self.n_heads, D // self.n_heads).permute(2, 0, 3, 1, 4)
        # Autocast norms in float32; attention wants one precision.
        query, key = self.query_norm(query).to(value.dtype), self.key_norm(key).to(value.dtype)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        projected: Tensor = self.projection(attended.transpose(1, 2).reshape(B, S, D))
        return projected

    def _branch(self, x: Tensor, scale: Tensor | None) -> Tensor:
        x = x if scale is None else x * scale
        return drop_windows(x, self.drop_path_ratio, training=self.training)


def initialise_linear(module: nn.Module) -> None:
    """Give a linear map the small weights and the zero bias that LaBraM starts from."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=_INITIAL_SD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def embedding_table(n: int, d_model: int) -> nn.Parameter:
    """(n, D) learned vectors as LaBraM starts them."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(n, d_model), std=_INITIAL_SD))
