"""Masked autoencoding: encode the visible patches only, predict the others from them with a small decoder.

Shapes: B windows, R rows, P patches per row, N = R * P tokens, Nv visible, M hidden, W width of the decoder.
"""

import torch
from torch import Generator, Tensor

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.encoders.tokens import Visible
from eegfm.objectives.config import MaeConfig
from eegfm.objectives.cross_decoder import CrossDecoder
from eegfm.objectives.masks import draw, draw_each, draw_hidden, n_hidden, others, visible_grid
from eegfm.objectives.patches import Hiding, PatchObjective, RealRows, token_index


class Mae(PatchObjective):
    """Masked autoencoder (He et al. 2022, arXiv 2111.06377) whose decoder only looks at what was encoded (CrossMAE).

    All patches are embedded before the hidden ones are left out; see ``eegfm.objectives.masked.Masked`` for what keeps
    these from being seen.

    Args:
        config: Choices.
        encoder: The encoder to train.
        spec: What the data decides.

    Raises:
        ConfigError: See the base class; or the encoder cannot leave tokens out.
    """

    def __init__(self, config: MaeConfig, encoder: Encoder, spec: SignalSpec) -> None:
        super().__init__(config, encoder, spec)
        self.config = config
        self.decoder = CrossDecoder(config, encoder.d_model, encoder.d_token, self.n_values)

    def hide(self, batch: WindowBatch, generator: Generator) -> Hiding:
        """Leave hidden tokens out; see the base class."""
        tokens = self.encoder.tokenize(batch)
        visible, hidden = self._draw(batch, tokens.n_rows, tokens.n_patches, generator)
        device = tokens.content.device
        visible = _moved(visible, device)
        return Hiding(hidden.to(device), tokens, self.encoder.encode(tokens, visible), visible)

    def predict(self, hiding: Hiding, index: Tensor) -> Tensor:
        """Ask the decoder; see the base class."""
        assert hiding.visible is not None
        predicted: Tensor = self.decoder(hiding.encoded, hiding.tokens, hiding.visible.index, index)
        return predicted

    def _draw(self, batch: WindowBatch, n_rows: int, n_patches: int, generator: Generator) -> tuple[Visible, Tensor]:
        """Visible and hidden (B, M) tokens, which together are those of the real channels."""
        size, real = len(batch["signal"]), self.real_rows(batch)
        if real is None:
            real = RealRows(torch.arange(n_rows).expand(size, -1), torch.full((size,), n_rows))
        # As many are visible in each window as in the one that has fewest channels.
        R, P = real.n_least, n_patches
        if "target_signal" in batch:
            rows = torch.arange(R, device=generator.device).expand(size, -1)
            visible = Visible.grid(rows, others(draw_hidden(size, P, self.mask_ratio, generator, "patches"), P), P)
        elif self.config.visible == "rectangular":
            n_visible_rows, n_visible_patches = visible_grid(self.mask_ratio, R, P)
            rows = draw(size, real.n_most, n_visible_rows, generator, real.n_each)
            visible = Visible.grid(rows, draw(size, P, n_visible_patches, generator), P)
        else:
            n_visible = R * P - n_hidden(self.mask_ratio, R * P)
            hidden = draw_each(real.n_each * P, real.n_each * P - n_visible, generator)
            visible = Visible(others(hidden, real.n_most * P))
        hidden = others(visible.index, real.n_most * P)
        return _among_all(visible, real, P), token_index(hidden, real, P)


def _among_all(visible: Visible, real: RealRows, n_patches: int) -> Visible:
    """Visible tokens, numbered among those of real rows, as numbers among all."""
    rows = visible.rows
    if rows is not None:
        rows = real.order.to(rows.device).take_along_dim(rows, dim=1)
    return Visible(token_index(visible.index, real, n_patches), rows, visible.patches)


def _moved(visible: Visible, device: torch.device) -> Visible:
    rows, patches = (None if part is None else part.to(device) for part in (visible.rows, visible.patches))
    return Visible(visible.index.to(device), rows, patches)
