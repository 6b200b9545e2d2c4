"""Masked prediction: one learned token replaces the content of masked patches, which are predicted from the others.

Shapes: B windows, R rows, P patches per row, M masked tokens.
"""

import torch
from torch import Tensor, nn

from eegfm.batch import WindowBatch
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import MASKS, Context
from eegfm.nn.device import sent
from eegfm.objectives.patches.config import MaskedConfig
from eegfm.objectives.patches.masks import lowest, lowest_present, n_masked, n_masked_each
from eegfm.objectives.patches.objective import Masking, PatchObjective
from eegfm.objectives.patches.rows import Rows


class Masked(PatchObjective):
    """Encode all tokens, those that are masked without their content.

    A masked token loses its content and keeps its place. Patches do not overlap, and an encoder embeds each from its
    own samples: one whose statistics reach over the window is refused (``MaskedConfig.allow_leaks``). So no prediction
    depends on the samples of a masked patch. Patches of the windows are masked as the encoder gets them: behind the
    common average reference or an interpolation, every channel holds a share of the others, and so do visible channels
    of masked ones.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.

    Raises:
        ConfigError: See the base class.
    """

    def __init__(self, config: MaskedConfig, backbone: Backbone) -> None:
        super().__init__(config, backbone)
        self.config = config
        self.mask_token = nn.Parameter(0.02 * torch.randn(self.encoder.d_token))
        self.head = self.encoder.new_decoder(self.n_values)

    def mask(self, batch: WindowBatch, context: Context) -> Masking:
        """Put the mask token in the place of masked content; see the base class."""
        tokens = self.encoder.tokenize(batch)
        masked = sent(self._draw(batch, tokens.n_rows, tokens.n_patches, context), tokens.content.device)
        index = masked.unsqueeze(-1).expand(-1, -1, tokens.content.shape[-1])
        # Scattered in, not blended: not even a value that is not finite gets past.
        token = self.mask_token.to(tokens.content.dtype).expand(index.shape)
        replaced = tokens.with_content(tokens.content.scatter(1, index, token))
        encoded = self.encoder.encode_with_features(batch, replaced)
        return Masking(masked, replaced, encoded.vectors, whole=encoded)

    def predict(self, masking: Masking, index: Tensor) -> Tensor:
        """Ask the encoder's decoder; see the base class."""
        predicted: Tensor = self.head(masking.encoded, masking.tokens, index)
        return predicted

    def _draw(self, batch: WindowBatch, n_rows: int, n_patches: int, context: Context) -> Tensor:
        """(B, M) tokens to mask."""
        draws = context.window_draws(MASKS, batch["corpus"], len(batch["signal"]))
        rows = Rows.of(self.backbone, batch, n_rows)
        if "target_signal" in batch:
            patches = lowest(draws.uniform(n_patches), n_masked(self.mask_ratio, n_patches, "patches"))
            first_tokens = n_patches * torch.arange(rows.n)
            masked = (first_tokens.unsqueeze(-1) + patches.unsqueeze(1)).flatten(1)
        else:
            n, noise = n_masked(self.mask_ratio, rows.n * n_patches), draws.uniform(rows.n * n_patches)
            present = rows.present_tokens(n_patches)
            if present is None:
                masked = lowest(noise, n)
            else:
                masked = lowest_present(noise, present, n_masked_each(self.mask_ratio, present.sum(dim=1)), n)
        return rows.among_all(masked, n_patches)
