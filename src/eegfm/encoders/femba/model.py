"""FEMBA: one vector for all channels of a patch of time, then bidirectional Mamba blocks over time.

Shapes: B windows, C channels, R rows of G = ceil(C / R) channels, P patches per row, S samples per patch, E width of a
token, D = E * R width of an encoded vector.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder, absent_rows_zeroed
from eegfm.encoders.decoders import LinearDecoder, TokenDecoder
from eegfm.encoders.femba.config import FembaConfig
from eegfm.encoders.femba.mamba import Mamba
from eegfm.encoders.montage import check_batch, only_length, only_montage
from eegfm.encoders.tokens import Tokens, Visible
from eegfm.errors import ConfigError


class Femba(Encoder):
    """FEMBA (arXiv 2502.06438, section II): rectangles of G channels x S samples are tokens, columns of them vectors.

    Public weights can be imported, see ``eegfm.encoders.femba.key_map``.

    Args:
        config: Choices.
        spec: Specification of the data, with one montage and one window length.

    Raises:
        ConfigError: There are several montages or lengths, a window is not whole patches, or the scan is to run on
            mamba_ssm, which cannot be imported.
    """

    no_weight_decay: ClassVar[tuple[str, ...]] = ("position_embedding",)

    positional_tables: ClassVar[tuple[str, ...]] = ("position_embedding",)

    def __init__(self, config: FembaConfig, spec: SignalSpec) -> None:
        montage, n_samples = only_montage(spec, config.name), only_length(spec, config.name)
        n_rows = -(-montage.n_channels // config.channels_per_token)
        super().__init__(
            config,
            spec,
            d_model=config.d_token * n_rows,
            patch_samples=config.patch_samples,
            d_token=config.d_token,
            channels_per_token=config.channels_per_token,
        )
        self.config = config
        self.montage, self.n_samples = montage, n_samples
        self.patch_embedding = nn.Linear(config.channels_per_token * config.patch_samples, config.d_token)
        self.position_embedding = nn.Parameter(torch.zeros(1, n_samples // config.patch_samples, self.d_model))
        self.layers = nn.ModuleList(Layer(config, self.d_model) for _ in range(config.n_layers))

    def depth_layers(self) -> list[list[nn.Module]]:
        """List the layers; see the base class."""
        return [[layer] for layer in self.layers]

    def tokenize(self, batch: WindowBatch) -> Tokens:
        """Embed each rectangle on its own; see the base class.

        Raises:
            ConfigError: Channels or length are not those the encoder was built for.
        """
        patches = self._checked_patches(batch)
        n_patches = self.position_embedding.shape[1]
        is_real = self.group_mask(batch)
        if is_real is not None:  # padding is what the embedding adds nothing for
            patches = patches.masked_fill(~is_real.repeat_interleave(n_patches, dim=1).unsqueeze(-1), 0.0)
        content = self.patch_embedding(patches.flatten(2))
        position = _rows(self.position_embedding, self.d_token)
        n_rows = content.shape[1] // n_patches
        return Tokens(content, position, n_rows, n_patches, self.key_mask(batch, n_patches))

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        """Run the layers over (B, P, D); see the base class."""
        assert visible is None, "supports_visible is False"
        x = _columns(absent_rows_zeroed(tokens) + tokens.position, tokens.n_rows)
        for layer in self.layers:
            x = layer(x)
        return x

    def new_decoder(self, n_values: int) -> "FembaDecoder":
        """From vectors back to tokens; see the base class."""
        return FembaDecoder(self.d_token, n_values)

    def _checked_patches(self, batch: WindowBatch) -> Tensor:
        check_batch(batch["signal"].shape[1], batch["montage"], self.montage, self.config.name)
        patches = self.token_patches(batch)
        n_samples = batch["signal"].shape[2]
        if n_samples != self.n_samples:
            raise ConfigError(
                f"encoder femba was built for windows of {self.n_samples / self.rate_hz:g} s, those of montage "
                f"{batch['montage']} last {n_samples / self.rate_hz:g} s; cut all corpora to one length_s "
                "(cuts.*.length_s), or choose encoder patch_transformer"
            )
        return patches


class Layer(nn.Module):
    """Two Mamba blocks, one through time and one against it, and a norm of their sum with the input.

    Args:
        config: Choices of the encoder.
        d_model: Width D.
    """

    def __init__(self, config: FembaConfig, d_model: int) -> None:
        super().__init__()

        def block() -> Mamba:
            return Mamba(d_model, d_state=config.d_state, d_conv=config.d_conv, expand=config.expand, scan=config.scan)

        self.forward_block, self.backward_block = block(), block()
        self.norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Update (B, P, D) vectors."""
        against_time = self.backward_block(x.flip(1)).flip(1)
        updated: Tensor = self.norm(x + self.forward_block(x) + against_time)
        return updated


class FembaDecoder(TokenDecoder):
    """A norm and a projection of each token's share of its vector.

    With the samples of a token as its values, the projection is the published transposed convolution. The published
    31 x 31 convolution in front of it, which blurs the width and time of vectors, is left out: on a CPU it takes
    longer than the encoder.

    Args:
        d_token: Width E.
        n_values: Values K.
    """

    def __init__(self, d_token: int, n_values: int) -> None:
        super().__init__()
        self.d_token = d_token
        self.linear = LinearDecoder(d_token, n_values)

    def forward(self, encoded: Tensor, tokens: Tokens, index: Tensor) -> Tensor:
        """Project the tokens asked for; see the base class."""
        predicted: Tensor = self.linear(_rows(encoded, self.d_token), tokens, index)
        return predicted


def _columns(values: Tensor, n_rows: int) -> Tensor:
    """(B, R * P, E) tokens to (B, P, E * R) vectors, in the published order: rows vary fastest."""
    B, N, E = values.shape
    return values.view(B, n_rows, N // n_rows, E).permute(0, 2, 3, 1).flatten(2)


def _rows(values: Tensor, d_token: int) -> Tensor:
    """(B, P, E * R) vectors to (B, R * P, E) tokens: undoes ``_columns``."""
    B, P, D = values.shape
    return values.reshape(B, P, d_token, D // d_token).permute(0, 3, 1, 2).flatten(1, 2)
