"""A transformer over single-channel patches that is told each electrode's place, not its name.

Shapes: B batch, C channels, P patches per channel, N = C * P tokens, D width, H heads, K head size.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, scaled_dot_product_attention

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.electrode_embedding import ElectrodeEmbedding, shared_positions
from eegfm.encoders.base import Encoder, whole_samples
from eegfm.encoders.configs.patch_transformer import PatchTransformerConfig
from eegfm.encoders.spectrum import log_power_spectrum, spectrum_frequencies_hz
from eegfm.encoders.tokens import Tokens, Visible

_ROTARY_BASE = 10_000.0


class PatchTransformer(Encoder):
    """Linear patch embedding, electrode embedding from x/y/z, rotary time, pre-norm attention layers.

    Permuting channels together with their positions permutes the output tokens and changes nothing else.
    Alternating attention follows CEReBrO (arXiv 2501.10885); rotary time follows
    RoFormer (arXiv 2104.09864).

    Args:
        config: Choices.
        spec: What the data decides.

    Raises:
        ConfigError: Patches are not whole samples, a window is not whole patches, or the input spectrum
            reaches half the rate.
    """

    def __init__(self, config: PatchTransformerConfig, spec: SignalSpec) -> None:
        super().__init__(
            config,
            spec,
            d_model=config.d_model,
            patch_samples=whole_samples(config.patch_s, spec.rate_hz),
            signal_scale_uv=config.signal_scale_uv,
        )
        self.config = config
        self.patch_embedding = nn.Linear(self.patch_samples, config.d_model)
        self.spectrum_embedding: nn.Linear | None = None
        if config.spectrum_input:
            bins = spectrum_frequencies_hz(self.patch_samples, spec.rate_hz, config.spectrum_high_hz)
            self.spectrum_embedding = nn.Linear(len(bins), config.d_model)
        self.electrode_embedding = ElectrodeEmbedding(config.n_position_frequencies, config.d_model)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.final_norm = nn.LayerNorm(config.d_model)

    def tokenize(self, batch: WindowBatch) -> Tokens:
        """Embed each patch on its own; see the base class."""
        patches_uv = self.patches(batch)
        limit = self.config.clip
        content = self.patch_embedding((patches_uv / self.signal_scale_uv).clamp(-limit, limit))
        if self.spectrum_embedding is not None:
            spectrum = log_power_spectrum(patches_uv, self.rate_hz, self.config.spectrum_high_hz)
            content = content + self.spectrum_embedding(spectrum)
        _, n_channels, n_patches, _ = content.shape
        position = self.electrode_embedding(shared_positions(batch["channel_positions"]))
        position = position.unsqueeze(2).expand(-1, -1, n_patches, -1)
        key_mask = self.key_mask(batch, n_patches)
        return Tokens(content.flatten(1, 2), position.flatten(1, 2), n_channels, n_patches, key_mask)

    @property
    def normalisation(self) -> dict[str, float | str]:
        """Division by a fixed scale; see the base class."""
        return {"kind": "fixed_scale", "scale_uv": self.config.signal_scale_uv, "clip": self.config.clip}

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        """Run the layers; see the base class."""
        C, P = tokens.n_rows, tokens.n_patches
        x = tokens.content + tokens.position
        time = torch.arange(P, device=x.device)
        is_full = self.config.attention == "full"
        angles = rotary_angles(time.repeat(C) if is_full else time, self.config.head_size)
        x = x if is_full else x.view(-1, C, P, self.d_model)
        across_channels, along_tokens = _key_masks(tokens.key_mask, P, is_full=is_full)
        for k, layer in enumerate(self.layers):
            if not is_full and k % 2 == 0:
                x = layer(x.transpose(1, 2), None, across_channels).transpose(1, 2)
            else:
                x = layer(x, angles, along_tokens)
        encoded: Tensor = self.final_norm(x.reshape(tokens.content.shape))
        return encoded


class Layer(nn.Module):
    """Pre-norm attention along the second-last axis, then a pre-norm feed-forward part.

    Args:
        config: Choices of the encoder.
    """

    def __init__(self, config: PatchTransformerConfig) -> None:
        super().__init__()
        D, hidden = config.d_model, round(config.mlp_ratio * config.d_model)
        self.head_size = config.head_size
        self.dropout_ratio = config.dropout_ratio
        self.attention_norm = nn.LayerNorm(D)
        self.query_key_value = nn.Linear(D, 3 * D)
        self.projection = nn.Linear(D, D)
        self.feed_forward_norm = nn.LayerNorm(D)
        self.feed_forward = nn.Sequential(nn.Linear(D, hidden), nn.GELU(), nn.Linear(hidden, D))

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor] | None, key_mask: Tensor | None = None) -> Tensor:
        """Update (..., S, D) tokens; only the S tokens of one sequence see each other.

        Args:
            x: Tokens.
            angles: Cosine and sine of the rotary angles, (S, head size / 2), or None for no time.
            key_mask: (sequences, 1, 1, S) bool, False for tokens that no other may see; None for none, which leaves
                attention its fastest kernels.
        """
        x = x + self._drop(self.projection(self._attend(self.attention_norm(x), angles, key_mask)))
        return x + self._drop(self.feed_forward(self.feed_forward_norm(x)))

    def _attend(self, x: Tensor, angles: tuple[Tensor, Tensor] | None, key_mask: Tensor | None) -> Tensor:
        S, D = x.shape[-2:]
        # One copy here makes the sequences contiguous, which the attention kernel rewards.
        qkv = self.query_key_value(x.reshape(-1, S, D)).view(-1, S, 3, D // self.head_size, self.head_size)
        qkv = qkv.permute(2, 0, 3, 1, 4)  # (3, sequences, H, S, K)
        query_key = qkv[:2] if angles is None else rotate(qkv[:2], angles)
        attended = scaled_dot_product_attention(query_key[0], query_key[1], qkv[2], attn_mask=key_mask)
        return attended.transpose(1, 2).reshape(x.shape)

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout_ratio, self.training) if self.dropout_ratio else x


def rotary_angles(time: Tensor, head_size: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine, each (S, head_size / 2), for time indices (S,)."""
    half = head_size // 2
    rates = _ROTARY_BASE ** (-torch.arange(half, device=time.device) / half)
    angles = time.unsqueeze(-1) * rates
    return angles.cos(), angles.sin()


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the pairs (k, k + K/2) of (..., S, K) by each position's angles, in x's precision."""
    cos, sin = (a.to(x.dtype) for a in angles)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


def _key_masks(mask: Tensor | None, n_patches: int, *, is_full: bool) -> tuple[Tensor | None, Tensor | None]:
    """Key masks of sequences across channels, one for each window and patch, and of all other sequences.

    A sequence over time is one channel's: where that is padding, it is seen by itself only.
    """
    if mask is None:
        return None, None
    if is_full:
        return None, mask[:, None, None]
    return mask.view(len(mask), -1, n_patches).transpose(1, 2).flatten(0, 1)[:, None, None], None
