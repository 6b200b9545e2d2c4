"""Perceiver over channels: in each short patch, learned queries attend to all channels.

Shapes: B windows, C channels, K queries, P patches, S samples per patch, D width, H heads.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from eegfm.adapters.base import Adapter, refuse_derivations
from eegfm.adapters.config import PerceiverConfig
from eegfm.adapters.interpolate import Splines
from eegfm.batch import SignalSpec, WindowBatch, padding_mask
from eegfm.errors import ConfigError
from eegfm.nn.electrode_embedding import ElectrodeEmbedding, shared_positions
from eegfm.nn.rereference import all_real
from eegfm.recording import Montage
from eegfm.signal.montages.canonical import canonical_montage, spread_montage

_NARROWEST_M, _WIDEST_M = 0.015, 0.06  # what the first and the last head see at first, as standard deviations


class _Attention(NamedTuple):
    queries: Tensor  # (1, H, K, D/H)
    keys: Tensor  # (B*P, H, C, D/H)
    values: Tensor  # (B*P, H, C, D/H)
    bias: Tensor  # (B*P or 1, H, K, C) added to the logits


class Perceiver(Adapter):
    """Cross-attention of queries at known places over channel tokens, patch by patch (Jaegle et al., arXiv 2103.03206).

    A token is one linear projection of a channel's patch plus an embedding of its electrode's place, the same for every
    channel: the weights serve any montage. Logits fall with the squared distance between query and electrode, by a
    learned rate for each head, so that virtual channels begin as local averages; among equals, content decides.
    Values are linear in the signal: what comes out is a signal in microvolts at the queries' places.

    As what comes out is learned, an objective must not take it for its target: a constant would be easily predicted.
    ``target_signal`` is the spherical-spline interpolation of the input at the same places, which no weight changes.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: Patches are not whole samples, a window is not whole patches, or a montage has no scalp electrode.
    """

    def __init__(self, config: PerceiverConfig, spec: SignalSpec) -> None:
        super().__init__()
        refuse_derivations(spec, config.name)
        self.config = config
        self.virtual = spread_montage(config.n_queries) if config.n_queries else canonical_montage(config.montage)
        self.patch_samples = _patch_samples(config, spec)
        D, K = config.d_model, self.virtual.n_channels
        self.patch_embedding = nn.Linear(self.patch_samples, D)
        self.place_embedding = ElectrodeEmbedding(config.n_position_frequencies, D)
        self.query_embedding = nn.Embedding(K, D)
        self.token_norm, self.query_norm = nn.LayerNorm(D), nn.LayerNorm(D)
        self.query = nn.Linear(D, D)
        self.key = nn.Linear(D, D, bias=False)  # the softmax would cancel a bias
        self.value = nn.Linear(D, D)
        self.projection = nn.Linear(D, self.patch_samples)
        widths_m = torch.logspace(0, 1, config.n_heads, base=_WIDEST_M / _NARROWEST_M) * _NARROWEST_M
        self.log_widths = nn.Parameter((widths_m / _NARROWEST_M).log())
        self.splines = Splines(spec, self.virtual, config.regularisation)
        self.register_buffer("_positions_m", torch.from_numpy(self.virtual.positions()), persistent=False)

    def forward(self, batch: WindowBatch) -> WindowBatch:
        """Attend; see the base class."""
        attention = self._attention(batch)
        size, K = len(batch["signal"]), self.virtual.n_channels
        q = attention.queries.expand(len(attention.keys), -1, -1, -1)
        # In the precision of the keys, which autocast may have lowered; padding is minus infinity there too.
        attended = scaled_dot_product_attention(
            q, attention.keys, attention.values, attn_mask=attention.bias.to(attention.keys.dtype)
        )
        patches = self.projection(attended.transpose(1, 2).flatten(2)).float()  # (B*P, K, S)
        signal = patches.view(size, -1, K, self.patch_samples).transpose(1, 2).reshape(size, K, -1)
        return {
            **batch,
            "signal": signal * self.config.signal_scale_uv,
            "target_signal": self.splines(batch),
            "channel_positions": self.get_buffer("_positions_m").expand(size, -1, -1),
            "channel_mask": all_real(size, K, signal.device),
            "known_mask": None,
        }

    def adapted(self, montage: Montage) -> Montage:
        """The virtual channels."""
        return self.virtual

    def check_patches(self, patch_samples: int) -> None:
        """Refuse an encoder whose patches are not whole patches of this adapter; see the base class."""
        if patch_samples % self.patch_samples:
            raise ConfigError(
                f"adapter.patch_s {self.config.patch_s:g} is {self.patch_samples} samples, which do not make up the "
                f"encoder's patch of {patch_samples}; change one so that they do"
            )

    @torch.no_grad()
    def attention_weights(self, batch: WindowBatch) -> Tensor:
        """(B, P, H, K, C): how much each virtual channel takes from each channel."""
        q, k, _, bias = self._attention(batch)
        weights: Tensor = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias).softmax(dim=-1)
        return weights.view(len(batch["signal"]), -1, *weights.shape[1:])

    def _attention(self, batch: WindowBatch) -> _Attention:
        tokens = self._tokens(batch)  # (B, C, P, D)
        P = tokens.shape[2]
        tokens = tokens.transpose(1, 2).flatten(0, 1)  # (B*P, C, D)
        virtual_m = self.get_buffer("_positions_m")
        queries = self.query_embedding.weight + self.place_embedding(virtual_m)
        squares_m2 = (virtual_m.unsqueeze(1) - shared_positions(batch["channel_positions"]).unsqueeze(1)).square()
        widths_m = _NARROWEST_M * self.log_widths.exp()
        bias = -squares_m2.sum(dim=-1).unsqueeze(1) / (2 * widths_m.square()).view(-1, 1, 1)  # (B or 1, H, K, C)
        padding = padding_mask(batch)
        if padding is not None:
            bias = bias.masked_fill(~padding[:, None, None], float("-inf"))
        return _Attention(
            queries=self._heads(self.query(self.query_norm(queries)).unsqueeze(0)),
            keys=self._heads(self.key(self.token_norm(tokens))),
            # Not normalized: amplitude is what many questions to an EEG are about.
            values=self._heads(self.value(tokens)),
            bias=bias if len(bias) == 1 else bias.repeat_interleave(P, dim=0),
        )

    def _tokens(self, batch: WindowBatch) -> Tensor:
        signal, S, limit = batch["signal"], self.patch_samples, self.config.clip
        _check_length(signal.shape[-1], S, batch["montage"])
        B, C, T = signal.shape
        patches = (signal / self.config.signal_scale_uv).clamp(-limit, limit).view(B, C, T // S, S)
        places = self.place_embedding(shared_positions(batch["channel_positions"]))
        tokens: Tensor = self.patch_embedding(patches) + places.unsqueeze(2)
        return tokens

    def _heads(self, x: Tensor) -> Tensor:
        """(..., N, D) to (..., H, N, D/H)."""
        return x.view(*x.shape[:-1], self.config.n_heads, -1).transpose(-2, -3)


def _patch_samples(config: PerceiverConfig, spec: SignalSpec) -> int:
    n_samples = round(config.patch_s * spec.rate_hz)
    if n_samples < 1 or abs(n_samples - config.patch_s * spec.rate_hz) > 1e-6:
        raise ConfigError(
            f"adapter.patch_s {config.patch_s:g} is {config.patch_s * spec.rate_hz:g} samples at {spec.rate_hz:g} Hz; "
            f"a patch is whole samples, nearest: {max(n_samples, 1) / spec.rate_hz:g}"
        )
    for montage, length in spec.n_samples.items():
        _check_length(length, n_samples, montage)
    return n_samples


def _check_length(n_samples: int, patch_samples: int, montage: str) -> None:
    if n_samples % patch_samples:
        raise ConfigError(
            f"windows of montage {montage} are {n_samples} samples, no whole number of adapter patches of "
            f"{patch_samples}; change the cut's length_s (cuts.*.length_s) or adapter.patch_s"
        )
