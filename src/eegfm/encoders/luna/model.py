"""LUNA: learned queries gather the channels of each patch, and a transformer runs over the patches.

Shapes: B windows, C channels, P patches per channel, N = C * P tokens, Q queries, E width of a token.
"""

from torch import Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch, padding_mask
from eegfm.encoders.base import Encoder, with_last
from eegfm.encoders.decoders import TokenDecoder
from eegfm.encoders.luna.config import LunaConfig
from eegfm.encoders.luna.decoder import LunaDecoder
from eegfm.encoders.luna.layers import ChannelQueries, TimeLayers, initialise, xavier_linears
from eegfm.encoders.luna.patches import PatchSpectrum, PlaceEmbedding, patch_convolutions
from eegfm.encoders.tokens import Tokens, Visible
from eegfm.nn.electrode_embedding import shared_positions


class Luna(Encoder):
    """LUNA (Döner et al., NeurIPS 2025, arXiv 2510.22257), for any number of channels at any places.

    An encoded vector stands for a patch with all its channels. The order of channels changes nothing, their number
    costs linearly.

    As published, a place is relative to the real channels of its montage: the same electrode has another place in
    another montage. That of a bipolar derivation is the middle between its electrodes. Each window's positions reach
    that window only; the published code tiles them over patches in the order of windows, which mixes them up as soon
    as the windows of a batch differ.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: A window is not whole patches.
    """

    def __init__(self, config: LunaConfig, spec: SignalSpec) -> None:
        super().__init__(
            config,
            spec,
            d_model=config.n_queries * config.d_token,
            patch_samples=config.patch_samples,
            d_token=config.d_token,
        )
        self.config = config
        Q, E = config.n_queries, config.d_token
        self.patch_embedding = patch_convolutions(config.patch_samples, E, config.patch_norm)
        self.spectrum_embedding = PatchSpectrum(config.patch_samples, E)
        self.place_embedding = PlaceEmbedding(E, config.position_jitter)
        self.gather = ChannelQueries(Q, E, config.dropout_ratio)
        self.time = TimeLayers(Q, E, config.n_layers, config.drop_path_ratio)
        xavier_linears(self)
        initialise(self.gather, self.time)

    def tokenize(self, batch: WindowBatch) -> Tokens:
        """Embed each patch, and each electrode's place; see the base class."""
        patches = self.patches(batch)
        _, C, P, _ = patches.shape
        patches, mask = patches.flatten(1, 2), self.key_mask(batch, P)
        # Step by step, all maps of a step side by side.
        content = self.patch_embedding(patches, mask).transpose(2, 3).flatten(2) + self.spectrum_embedding(patches)
        positions_m = batch["channel_positions"]
        if not (self.training and self.config.position_jitter):  # jitter tells windows apart
            positions_m = shared_positions(positions_m)
        places = self.place_embedding(positions_m, padding_mask(batch))
        position = places.repeat_interleave(P, dim=1)
        return Tokens(content, position, C, P, mask)

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        """Gather the channels of each patch, then read the patches: (B, P, Q * E); see the base class."""
        assert visible is None, "supports_visible is False"
        gathered = self.gather(*_by_patch(tokens))
        encoded: Tensor = self.time(gathered.view(tokens.content.shape[0], tokens.n_patches, self.d_model))
        return encoded

    def query_attention(self, tokens: Tokens) -> Tensor:
        """Ask the queries that gather channels; see the base class."""
        return self.gather.attention_weights(*_by_patch(tokens))

    def new_decoder(self, n_values: int) -> TokenDecoder:
        """Ask for single tokens by place; see the base class."""
        return LunaDecoder(self.config.n_queries, self.config.d_token, n_values)

    def depth_layers(self) -> list[list[nn.Module]]:
        """List the layers over time; the queries that gather channels are an embedding. See the base class."""
        return with_last(self.time.layers, self.time.final_norm)

    def lora_blocks(self) -> list[nn.Module]:
        """List the queries that gather channels, which attend too, and the layers; see the base class."""
        return [self.gather, *super().lora_blocks()]


def _by_patch(tokens: Tokens) -> tuple[Tensor, Tensor | None]:
    """(B * P, C, E) tokens of each patch, and (B * P, C) which of them may be seen; None where all may."""
    B, C, P = tokens.content.shape[0], tokens.n_rows, tokens.n_patches
    by_patch = (tokens.content + tokens.position).view(B, C, P, -1).transpose(1, 2).flatten(0, 1)
    mask = tokens.key_mask
    return by_patch, None if mask is None else mask.view(B, C, P).transpose(1, 2).flatten(0, 1)
