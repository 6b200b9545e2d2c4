"""A transformer over single-channel patches that is told each electrode's place, not its name.

Shapes: B batch, C channels, P patches per channel, N = C * P tokens, D width, H heads, K head size.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, scaled_dot_product_attention

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder, Tokens
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.spectrum import log_power_spectrum, spectrum_frequencies_hz

_ROTARY_BASE = 10_000.0
_LONGEST_WAVELENGTH_M = 0.4  # twice a head: one sign of the sine from ear to ear


class PatchTransformer(Encoder):
    """Linear patch embedding, electrode embedding from x/y/z, rotary time, pre-norm attention layers.

    Permuting channels together with their positions permutes the output tokens and changes nothing else.
    Factorised attention follows CEReBrO (arXiv 2501.10885, alternating attention); rotary time follows
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
            spec,
            d_model=config.d_model,
            patch_s=config.patch_s,
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
        position = self.electrode_embedding(_shared(batch["channel_positions"]))
        position = position.unsqueeze(2).expand(-1, -1, n_patches, -1)
        return Tokens(content.flatten(1, 2), position.flatten(1, 2), n_channels, n_patches)

    def encode(self, tokens: Tokens) -> Tensor:
        """Run the layers; see the base class."""
        C, P = tokens.n_channels, tokens.n_patches
        x = tokens.content + tokens.position
        time = torch.arange(P, device=x.device)
        is_full = self.config.attention == "full"
        angles = rotary_angles(time.repeat(C) if is_full else time, self.config.head_size)
        x = x if is_full else x.view(-1, C, P, self.d_model)
        for k, layer in enumerate(self.layers):
            is_across_channels = not is_full and k % 2 == 0
            x = layer(x.transpose(1, 2), None).transpose(1, 2) if is_across_channels else layer(x, angles)
        encoded: Tensor = self.final_norm(x.reshape(tokens.content.shape))
        return encoded


class ElectrodeEmbedding(nn.Module):
    """Place of an electrode as a vector: Fourier features of x, y, z, then a small network.

    Args:
        n_frequencies: Frequencies per axis, each twice the one before.
        d_model: Width D.
    """

    radians_per_m: Tensor

    def __init__(self, n_frequencies: int, d_model: int) -> None:
        super().__init__()
        radians_per_m = 2 * math.pi / _LONGEST_WAVELENGTH_M * 2.0 ** torch.arange(n_frequencies)
        self.register_buffer("radians_per_m", radians_per_m, persistent=False)
        self.network = nn.Sequential(nn.Linear(6 * n_frequencies, d_model), nn.GELU(), nn.Linear(d_model, d_model))

    def forward(self, positions_m: Tensor) -> Tensor:
        """(B, C, 3) metres to (B, C, D)."""
        phases = (positions_m.unsqueeze(-1) * self.radians_per_m).flatten(-2)
        embedded: Tensor = self.network(torch.cat((phases.sin(), phases.cos()), dim=-1))
        return embedded


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

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        """Update (..., S, D) tokens; only the S tokens of one sequence see each other.

        Args:
            x: Tokens.
            angles: Cosine and sine of the rotary angles, (S, head size / 2), or None for no time.
        """
        x = x + self._drop(self.projection(self._attend(self.attention_norm(x), angles)))
        return x + self._drop(self.feed_forward(self.feed_forward_norm(x)))

    def _attend(self, x: Tensor, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        S, D = x.shape[-2:]
        # One copy here makes the sequences contiguous, which the attention kernel rewards.
        qkv = self.query_key_value(x.reshape(-1, S, D)).view(-1, S, 3, D // self.head_size, self.head_size)
        qkv = qkv.permute(2, 0, 3, 1, 4)  # (3, sequences, H, S, K)
        query_key = qkv[:2] if angles is None else rotate(qkv[:2], angles)
        attended = scaled_dot_product_attention(query_key[0], query_key[1], qkv[2])
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


def _shared(positions_m: Tensor) -> Tensor:
    """The first of the batch's positions where the batch is one montage spread without a copy."""
    return positions_m[:1] if positions_m.stride(0) == 0 else positions_m
