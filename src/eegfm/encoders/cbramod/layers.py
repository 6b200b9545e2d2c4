"""The criss-cross layers of CBraMod (ICLR 2025, arXiv 2412.07236, section 2.3).

Shapes: B windows, C channels, P patches per channel, D width.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, gelu, scaled_dot_product_attention

from eegfm.encoders.cbramod.config import CbramodConfig


class CrissCrossLayer(nn.Module):
    """Pre-norm attention, then a pre-norm feed-forward part.

    Half of a token's features attend across channels within a patch of time, the other half across time within a
    channel.

    Args:
        config: Choices of the encoder.
    """

    def __init__(self, config: CbramodConfig) -> None:
        super().__init__()
        D, ratio = config.d_model, config.dropout_ratio
        self.dropout_ratio = ratio
        self.attention_norm = nn.LayerNorm(D)
        self.across_channels = Attention(D // 2, config.n_heads // 2, ratio)
        self.across_time = Attention(D // 2, config.n_heads // 2, ratio)
        self.feed_forward_norm = nn.LayerNorm(D)
        self.enter = nn.Linear(D, config.d_feed_forward)
        self.leave = nn.Linear(config.d_feed_forward, D)

    def forward(self, x: Tensor, channel_mask: Tensor | None, time_mask: Tensor | None) -> Tensor:
        """Update (B, C, P, D) tokens.

        Args:
            x: Tokens.
            channel_mask: (B * P, 1, C, C) bool, True where a token sees another of its patch; None where all do.
            time_mask: (B * C, 1, P, P) bool, True where a token sees another of its channel; None where all do.
        """
        of_channels, of_time = self.attention_norm(x).chunk(2, dim=-1)
        of_channels = self.across_channels(of_channels.transpose(1, 2), channel_mask).transpose(1, 2)
        x = x + self._drop(torch.cat((of_channels, self.across_time(of_time, time_mask)), dim=-1))
        hidden = self._drop(gelu(self.enter(self.feed_forward_norm(x))))
        return x + self._drop(self.leave(hidden))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout_ratio, self.training)


class Attention(nn.Module):
    """Attention along the second-last axis.

    Args:
        d_model: Width of what comes in and goes out.
        n_heads: Number of heads.
        dropout_ratio: Share of attention that is dropped while training.
    """

    def __init__(self, d_model: int, n_heads: int, dropout_ratio: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout_ratio = dropout_ratio
        self.query_key_value = nn.Linear(d_model, 3 * d_model)
        self.projection = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Update (B, G, L, d) tokens, each of G sequences of L on its own; ``mask`` (B * G, 1, L, L) or None."""
        B, G, L, d = x.shape
        qkv = self.query_key_value(x).view(B * G, L, 3, self.n_heads, d // self.n_heads).permute(2, 0, 3, 1, 4)
        ratio = self.dropout_ratio if self.training else 0.0
        attended = scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=mask, dropout_p=ratio)
        projected: Tensor = self.projection(attended.transpose(1, 2).reshape(B, G, L, d))
        return projected


def fan_out_linears(module: nn.Module) -> None:
    """Draw the weights of linear maps as the publication does: He's normal by fan out (arXiv 1502.01852).

    It passes over the map to queries, keys and values, which stays Xavier's uniform.
    """
    for name, part in module.named_modules():
        if not isinstance(part, nn.Linear):
            continue
        if name.endswith("query_key_value"):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
        else:
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        if name.endswith(("across_channels.projection", "across_time.projection")):
            nn.init.zeros_(part.bias)
