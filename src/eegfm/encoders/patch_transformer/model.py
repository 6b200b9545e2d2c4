"""Transformer over single-channel patches. It embeds electrode positions, not electrode names.

Shapes: B windows, C channels, P patches per channel, N = C * P tokens, D width.
"""

from torch import Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoded, Encoder, one_row, whole_samples, with_last
from eegfm.encoders.patch_transformer.attention import Across, Layer, Surroundings, new_norm
from eegfm.encoders.patch_transformer.config import PatchTransformerConfig
from eegfm.encoders.patch_transformer.grid import lay_out_rows, lay_out_sequence, take_rows, take_sequence
from eegfm.encoders.patch_transformer.patch_embedding import new_patch_embedding
from eegfm.encoders.tokens import Tokens, Visible
from eegfm.nn.electrode_embedding import ElectrodeEmbedding, embedded_channels
from eegfm.nn.spectrum import log_power_spectrum, spectrum_frequencies_hz

_REGISTER_SD = 0.02

# By attention, what layers do in turn. Full attention lays all tokens out as one row.
_TURNS: dict[str, tuple[Across, ...]] = {
    "alternating": ("rows", "patches"),
    "criss_cross": ("both",),
    "full": ("patches",),
}


class PatchTransformer(Encoder):
    """Patch embedding, electrode embedding from x/y/z, rotary time, pre-norm attention layers.

    Permuting channels together with their positions permutes the output tokens and changes nothing else. A bipolar
    derivation is placed as it is measured: by the embedding of its first electrode minus that of its second.

    Layers that look across channels know places besides (``PlaceQueries``), and begin by looking at neighbours.

    Alternating attention follows CEReBrO (arXiv 2501.10885), criss-cross attention CBraMod (arXiv 2412.07236),
    registers Darcet et al. (arXiv 2309.16588). A visible subset of tokens costs what it holds where it is some channels
    times some patches, and with full attention always; with the other two, any other subset costs as much as all.

    Args:
        config: Choices.
        spec: Specification of the data.

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
        )
        self.config = config
        D, L = config.d_model, config.n_layers
        self.patch_embedding = new_patch_embedding(config.patch_embedding, self.patch_samples, D)
        self.spectrum_embedding: nn.Linear | None = None
        if config.spectrum_input:
            bins = spectrum_frequencies_hz(self.patch_samples, spec.rate_hz, config.spectrum_high_hz)
            self.spectrum_embedding = nn.Linear(len(bins), D)
        self.electrode_embedding = ElectrodeEmbedding(config.n_position_frequencies, D, config.position_jitter_m)
        self.registers: nn.Embedding | None = None
        if config.n_registers:
            self.registers = nn.Embedding(config.n_registers, D)
            nn.init.normal_(self.registers.weight, std=_REGISTER_SD)
        turns = _TURNS[config.attention]
        self.layers = nn.ModuleList(
            Layer(config, turns[k % len(turns)], config.drop_path_ratio * (k + 1) / L) for k in range(L)
        )
        self.final_norm = new_norm(config.norm, D)

    def tokenize(self, batch: WindowBatch) -> Tokens:
        """Embed each patch on its own; see the base class."""
        return self._tokens(batch)

    def tokenize_visible(self, batch: WindowBatch, visible: Visible) -> Tokens:
        """Embed visible patches only; see the base class."""
        return self._tokens(batch, visible.index)

    def depth_layers(self) -> list[list[nn.Module]]:
        """List the layers, the final norm with the last; see the base class."""
        return with_last(self.layers, self.final_norm)

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        """Run the layers; see the base class."""
        return self._encode_all(tokens, visible)[0]

    def encode_with_features(self, batch: WindowBatch, tokens: Tokens | None = None) -> Encoded:
        """Encode windows and summarise them: channel by channel, or by the first register; see the base class."""
        if self.config.summary == "mean":
            return super().encode_with_features(batch, tokens)
        tokens = self.tokenize(batch) if tokens is None else tokens
        encoded, registers = self._encode_all(tokens)
        summary = registers[:, 0].mean(dim=1, keepdim=True)
        return Encoded(encoded, one_row(summary, self.whole_row_mask(batch, tokens)))

    def _tokens(self, batch: WindowBatch, index: Tensor | None = None) -> Tokens:
        content = self.patch_embedding(self.patches_of(batch, index))
        if self.spectrum_embedding is not None:
            patches_uv = self.patches_of({**batch, "signal": batch["signal_uv"]}, index)
            spectrum = log_power_spectrum(patches_uv, self.rate_hz, self.config.spectrum_high_hz)
            content = content + self.spectrum_embedding(spectrum)
        _, n_channels, n_patches, _ = self.patches(batch).shape
        position = embedded_channels(self.electrode_embedding, batch).unsqueeze(2).expand(-1, -1, n_patches, -1)
        key_mask = self.key_mask(batch, n_patches)
        return Tokens(content, position.flatten(1, 2), n_channels, n_patches, key_mask, index)

    def _encode_all(self, tokens: Tokens, visible: Visible | None = None) -> tuple[Tensor, Tensor]:
        """Encoded tokens (B, Nv, D) and registers (B, n, P, D)."""
        is_full = self.config.attention == "full"
        registers = None if self.registers is None else self.registers.weight
        lay_out = lay_out_sequence if is_full else lay_out_rows
        x, time, mask, places = lay_out(tokens, visible, registers)
        surroundings = Surroundings.of(time, mask, self.config.head_size, places)
        for layer in self.layers:
            x = layer(x, surroundings)
        x = self.final_norm(x)
        if is_full:
            return take_sequence(x, self.config.n_registers, tokens.n_patches)
        return take_rows(x, visible, self.config.n_registers)
