"""LaBraM: convolutional patches, electrode and time embeddings, full attention with one [CLS] token.

Shapes: B windows, C channels, P patches per channel, N = C * P tokens, D width.
"""

from typing import ClassVar

from torch import Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoded, Encoder, one_row, with_last
from eegfm.encoders.conv_patches import ConvPatches
from eegfm.encoders.labram.config import LabramConfig
from eegfm.encoders.labram.places import LabramPlaces
from eegfm.encoders.labram.transformer import LabramTransformer
from eegfm.encoders.tokens import Tokens, Visible, take
from eegfm.errors import ConfigError


class Labram(Encoder):
    """LaBraM (Jiang et al., ICLR 2024, arXiv 2405.18765, section 2.2), for any montage or for named electrodes.

    As in the published code for fine-tuning, the [CLS] token has a place of its own in the table of names; the one
    for pretraining gives it that of the first channel.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: A window is not whole patches or longer than the table of times, or an electrode is not in the
            table of names.
    """

    positional_tables: ClassVar[tuple[str, ...]] = ("places.time_embedding",)

    def __init__(self, config: LabramConfig, spec: SignalSpec) -> None:
        self.config = config  # the base class checks the lengths of the data already
        super().__init__(
            config,
            spec,
            d_model=config.d_model,
            patch_samples=config.patch_samples,
        )
        self.patch_embedding = ConvPatches(
            n_maps=config.n_maps, kernel=15, stride=8, n_groups=4, norm_over=config.patch_norm
        )
        self.places = LabramPlaces(config, spec)
        self.transformer = LabramTransformer(config)

    def check_length(self, n_samples: int, montage: str) -> None:
        """Refuse windows that are not whole patches or longer than the table of times; see the base class."""
        super().check_length(n_samples, montage)
        n_known, n_patches = self.config.max_patches, n_samples // self.patch_samples
        patch_s = self.patch_samples / self.rate_hz
        if n_patches > n_known:
            raise ConfigError(
                f"encoder labram has time embeddings for {n_known} patches ({n_known * patch_s:g} s), windows of "
                f"montage {montage} have {n_patches} ({n_patches * patch_s:g} s); raise encoder.max_patches to "
                f"{n_patches}, or cut shorter windows (cuts.*.length_s)"
            )

    def tokenize(self, batch: WindowBatch) -> Tokens:
        """Embed each patch, and its place; see the base class."""
        return self._tokens(batch)

    def tokenize_visible(self, batch: WindowBatch, visible: Visible) -> Tokens:
        """Embed visible patches, unless a norm over the window wants all; see the base class."""
        return self._tokens(batch, None if self.leaks else visible.index)

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        """Let tokens see each other and the [CLS] token: (B, N, D) or (B, Nv, D); see the base class."""
        return self._with_cls(tokens, visible)[:, 1:]

    def encode_with_features(self, batch: WindowBatch, tokens: Tokens | None = None) -> Encoded:
        """One row per channel, its mean over time, or the [CLS] token's vector; see the base class."""
        if self.config.summary == "mean":
            return super().encode_with_features(batch, tokens)
        tokens = self.tokenize(batch) if tokens is None else tokens
        encoded = self._with_cls(tokens)
        return Encoded(encoded[:, 1:], one_row(encoded[:, :1], self.whole_row_mask(batch, tokens)))

    def depth_layers(self) -> list[list[nn.Module]]:
        """List the layers, the final norm with the last; the [CLS] token is an embedding. See the base class."""
        return with_last(self.transformer.layers, self.transformer.final_norm)

    def _tokens(self, batch: WindowBatch, index: Tensor | None = None) -> Tokens:
        _, C, P, _ = self.patches(batch).shape
        mask = self.key_mask(batch, P)
        maps = self.patch_embedding(self.patches_of(batch, index), mask)
        # Step by step, all maps of a step side by side.
        content = maps.transpose(2, 3).flatten(2)
        return Tokens(content, self.places(batch, P), C, P, mask, index)

    def _with_cls(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        """(B, 1 + N, D) encoded vectors, that of the [CLS] token first."""
        mask = tokens.key_mask
        if visible is None:
            x = tokens.content + tokens.position
        else:
            x = tokens.content_of(visible.index) + take(tokens.position, visible.index)
            mask = None if mask is None else mask.take_along_dim(visible.index, dim=1)
        encoded: Tensor = self.transformer(x, self.places.of_cls, mask)
        return encoded
