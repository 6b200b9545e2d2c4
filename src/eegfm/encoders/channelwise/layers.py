"""Layers of the small convolutional and recurrent encoders, with an exchange of means between channels.

Shapes: B windows, C channels, P patches per channel, N = C * P tokens, D width.
"""

from abc import ABC
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder, whole_samples, with_last
from eegfm.encoders.channelwise.config import ChannelwiseConfig
from eegfm.encoders.tokens import Tokens, Visible
from eegfm.nn.electrode_embedding import ElectrodeEmbedding, embedded_channels


class Channelwise(Encoder, ABC):
    """Linear patches, electrode embedding from x/y/z; layers mix each channel over time, then all channels.

    A bipolar derivation is embedded as the difference of its two electrodes' places, as its signal is one.

    Args:
        config: Choices.
        spec: Specification of the data.
        mixer: Builds, from a layer's number, what mixes a channel's patches: (S, P, D) to (S, P, D), alike for all
            S sequences.

    Raises:
        ConfigError: Patches are not whole samples, or a window is not whole patches.
    """

    def __init__(self, config: ChannelwiseConfig, spec: SignalSpec, mixer: Callable[[int], nn.Module]) -> None:
        super().__init__(
            config,
            spec,
            d_model=config.d_model,
            patch_samples=whole_samples(config.patch_s, spec.rate_hz),
        )
        self.config = config
        self.patch_embedding = nn.Linear(self.patch_samples, config.d_model)
        self.electrode_embedding = ElectrodeEmbedding(config.n_position_frequencies, config.d_model)
        self.layers = nn.ModuleList(
            ChannelwiseLayer(config.d_model, mixer(k), config.dropout_ratio) for k in range(config.n_layers)
        )
        self.final_norm = nn.LayerNorm(config.d_model)

    def depth_layers(self) -> list[list[nn.Module]]:
        """List the layers, the final norm with the last; see the base class."""
        return with_last(self.layers, self.final_norm)

    def tokenize(self, batch: WindowBatch) -> Tokens:
        """Embed each patch on its own; see the base class."""
        content = self.patch_embedding(self.patches(batch))
        C, P = content.shape[1:3]
        position = embedded_channels(self.electrode_embedding, batch).unsqueeze(2).expand(-1, -1, P, -1)
        return Tokens(content.flatten(1, 2), position.flatten(1, 2), C, P, self.key_mask(batch, P))

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        """Run the layers; see the base class."""
        assert visible is None, "objectives ask the traits first"
        grid = (-1, tokens.n_rows, tokens.n_patches)
        x = (tokens.content + tokens.position).view(*grid, self.d_model)
        absent = None if tokens.key_mask is None else ~tokens.key_mask.view(*grid, 1)
        for layer in self.layers:
            x = layer(x, absent)
        encoded: Tensor = self.final_norm(x.flatten(1, 2))
        return encoded


class ChannelwiseLayer(nn.Module):
    """Mix each channel over time, then add to every token what the channels hold on average at its time.

    The mean is a set function: it costs one pass over the tokens and knows no order of channels (Deep Sets,
    arXiv 1703.06114). Each token gates its own share of this mean.

    Args:
        d_model: Width D.
        mixer: Mixes the patches of each channel, (S, P, D) to (S, P, D).
        dropout_ratio: Share of activations dropped behind both parts while training.
    """

    def __init__(self, d_model: int, mixer: nn.Module, dropout_ratio: float) -> None:
        super().__init__()
        self.dropout_ratio = dropout_ratio
        self.time_norm = nn.LayerNorm(d_model)
        self.mixer = mixer
        self.channel_norm = nn.LayerNorm(d_model)
        self.gate = nn.Linear(d_model, d_model)
        self.exchange = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, absent: Tensor | None) -> Tensor:
        """Update (B, C, P, D) tokens.

        Args:
            x: Tokens.
            absent: (B, C, P, 1) bool, True for a token that no other may see; None for none.
        """
        seen = _zeroed(self.time_norm(x), absent)
        x = x + self._drop(self.mixer(seen.flatten(0, 1)).view(x.shape))
        y = self.channel_norm(x)
        heard = self.exchange(_mean_over_channels(y, absent))
        return x + self._drop(torch.sigmoid(self.gate(y)) * heard)

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout_ratio, self.training) if self.dropout_ratio else x


def _zeroed(x: Tensor, absent: Tensor | None) -> Tensor:
    return x if absent is None else x.masked_fill(absent, 0.0)


def _mean_over_channels(x: Tensor, absent: Tensor | None) -> Tensor:
    """(B, 1, P, D) mean of the tokens that may be seen; zero where none may."""
    if absent is None:
        return x.mean(dim=1, keepdim=True)
    n_seen = (~absent).sum(dim=1, keepdim=True).clamp_min(1)
    return _zeroed(x, absent).sum(dim=1, keepdim=True) / n_seen
