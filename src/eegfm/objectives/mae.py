"""Masked autoencoding: only visible patches are encoded, and a small decoder predicts the others from them.

Shapes: B windows, R rows, P patches per row, N = R * P tokens, Nv visible, M masked, W width of the decoder.
"""

from torch import Tensor, nn

from eegfm.batch import WindowBatch
from eegfm.encoders.tokens import Visible
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import MASKS, Context
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.patches.config import MaeConfig
from eegfm.objectives.patches.exact import others
from eegfm.objectives.patches.mae_decoder import CrossDecoder
from eegfm.objectives.patches.objective import Masking, PatchObjective


class Mae(PatchObjective):
    """Masked autoencoder (He et al. 2022, arXiv 2111.06377) whose decoder only looks at what was encoded (CrossMAE).

    Masked patches are not embedded, unless the encoder's embedding mixes patches; see
    ``eegfm.objectives.masked.Masked`` for what else keeps them from being seen. A window with absent channels shows its
    own share of its own tokens; absent ones, which nothing sees, fill its list up.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.
        tokenizer: See the base class.
        labels: See the base class.

    Raises:
        ConfigError: See the base class; or the encoder cannot leave tokens out.
    """

    def __init__(
        self, config: MaeConfig, backbone: Backbone, tokenizer: nn.Module | None = None, *, labels: Labels = NO_LABELS
    ) -> None:
        super().__init__(config, backbone, tokenizer, labels=labels)
        self.config: MaeConfig = config
        self.decoder = CrossDecoder(
            config.decoder_width,
            config.decoder_layers,
            d_model=self.encoder.d_model,
            d_token=self.encoder.d_token,
            n_values=self.n_values,
        )

    def mask(self, batch: WindowBatch, context: Context) -> Masking:
        """Leave masked tokens out; see the base class."""
        _, n_channels, n_patches, _ = self.encoder.patches(batch).shape
        n_rows = -(-n_channels // self.encoder.channels_per_token)
        visible = self._draw(batch, n_rows, n_patches, context).sent(batch["signal"].device)
        tokens = self.encoder.tokenize_visible(batch, visible)
        masked = others(visible.index, n_rows * n_patches)
        return Masking(masked, tokens, self.encoder.encode(tokens, visible), visible)

    def predict(self, masking: Masking, index: Tensor) -> Tensor:
        """Ask the decoder; see the base class."""
        assert masking.visible is not None
        predicted: Tensor = self.decoder(masking.encoded, masking.tokens, masking.visible.index, index)
        return predicted

    def _draw(self, batch: WindowBatch, n_rows: int, n_patches: int, context: Context) -> Visible:
        """Draw the visible tokens of every window."""
        draws = context.window_draws(MASKS, batch["corpus"], len(batch["signal"]))
        rows, grid = self.grid(batch, n_rows, n_patches)
        return rows.visible_among_all(self.masks.visible(grid, draws), n_patches)
