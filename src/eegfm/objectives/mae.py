"""Masked autoencoding: only visible patches are encoded, and a small decoder predicts the others from them.

Shapes: B windows, R rows, P patches per row, N = R * P tokens, Nv visible, M masked, W width of the decoder.
"""

import torch
from torch import Tensor

from eegfm.batch import WindowBatch
from eegfm.encoders.tokens import Visible
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import MASKS, Context
from eegfm.objectives.config import MaeConfig
from eegfm.objectives.cross_decoder import CrossDecoder
from eegfm.objectives.masks import (
    lowest,
    lowest_present,
    n_masked,
    n_masked_each,
    n_visible_rows_each,
    others,
    visible_grid,
)
from eegfm.objectives.patches import Masking, PatchObjective


class Mae(PatchObjective):
    """Masked autoencoder (He et al. 2022, arXiv 2111.06377) whose decoder only looks at what was encoded (CrossMAE).

    All patches are embedded before the masked ones are left out; see ``eegfm.objectives.masked.Masked`` for what keeps
    these from being seen. A window with absent channels shows its own share of its own tokens; absent ones, which
    nothing sees, fill its list up.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.

    Raises:
        ConfigError: See the base class; or the encoder cannot leave tokens out.
    """

    def __init__(self, config: MaeConfig, backbone: Backbone) -> None:
        super().__init__(config, backbone)
        self.config = config
        self.decoder = CrossDecoder(config, self.encoder.d_model, self.encoder.d_token, self.n_values)

    def mask(self, batch: WindowBatch, context: Context) -> Masking:
        """Leave masked tokens out; see the base class."""
        tokens = self.encoder.tokenize(batch)
        visible = _moved(self._draw(batch, tokens.n_rows, tokens.n_patches, context), tokens.content.device)
        masked = others(visible.index, tokens.n_rows * tokens.n_patches)
        return Masking(masked, tokens, self.encoder.encode(tokens, visible), visible)

    def predict(self, masking: Masking, index: Tensor) -> Tensor:
        """Ask the decoder; see the base class."""
        assert masking.visible is not None
        predicted: Tensor = self.decoder(masking.encoded, masking.tokens, masking.visible.index, index)
        return predicted

    def _draw(self, batch: WindowBatch, n_rows: int, n_patches: int, context: Context) -> Visible:
        """Draw the visible tokens of every window."""
        R, P = n_rows, n_patches
        size = len(batch["signal"])
        draws = context.window_draws(MASKS, batch["corpus"], size)
        present = self.present_rows(batch)
        if "target_signal" in batch:
            masked = lowest(draws.uniform(P), n_masked(self.mask_ratio, P, "patches"))
            return Visible.grid(torch.arange(R).expand(size, -1), others(masked, P), P)
        if self.config.visible == "rectangular":
            n_rows_visible, n_patches_visible = visible_grid(self.mask_ratio, R, P)
            noise = draws.uniform(R)
            if present is None:
                rows = lowest(noise, n_rows_visible)
            else:
                n_each = n_visible_rows_each(n_rows_visible, R, present.sum(dim=1))
                rows = lowest_present(noise, present, n_each, n_rows_visible)
            return Visible.grid(rows, lowest(draws.uniform(P), n_patches_visible), P)
        n, noise = n_masked(self.mask_ratio, R * P), draws.uniform(R * P)
        if present is None:
            return Visible(others(lowest(noise, n), R * P))
        is_present = present.repeat_interleave(P, dim=1)
        n_each = is_present.sum(dim=1) - n_masked_each(self.mask_ratio, is_present.sum(dim=1))
        return Visible(lowest_present(-noise, is_present, n_each, R * P - n))


def _moved(visible: Visible, device: torch.device) -> Visible:
    rows, patches = (None if part is None else part.to(device) for part in (visible.rows, visible.patches))
    return Visible(visible.index.to(device), rows, patches)
