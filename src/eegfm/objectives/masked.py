"""Masked prediction: one learned token replaces the content of masked patches, which are predicted from the others.

Shapes: B windows, R rows, P patches per row, M masked tokens.
"""

import torch
from torch import Tensor, nn

from eegfm.batch import WindowBatch
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import MASKS, Context
from eegfm.nn.device import sent
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.patches.config import MaskedConfig
from eegfm.objectives.patches.objective import Masking, PatchObjective


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
        tokenizer: See the base class.
        labels: See the base class.

    Raises:
        ConfigError: See the base class.
    """

    def __init__(
        self,
        config: MaskedConfig,
        backbone: Backbone,
        tokenizer: nn.Module | None = None,
        *,
        labels: Labels = NO_LABELS,
    ) -> None:
        super().__init__(config, backbone, tokenizer, labels=labels)
        self.config: MaskedConfig = config
        self.mask_token = nn.Parameter(0.02 * torch.randn(self.encoder.d_token))
        self.head = self.encoder.new_decoder(self.n_values)

    def mask(self, batch: WindowBatch, context: Context) -> Masking:
        """Put the mask token in the place of masked content; see the base class."""
        tokens = self.encoder.tokenize(batch)
        masked = sent(self._draw(batch, tokens.n_rows, tokens.n_patches, context), tokens.content.device)
        replaced = tokens.with_content_at(masked, self.mask_token)
        return Masking(masked, replaced, self.encoder.encode(replaced))

    def predict(self, masking: Masking, index: Tensor) -> Tensor:
        """Ask the encoder's decoder; see the base class."""
        predicted: Tensor = self.head(masking.encoded, masking.tokens, index)
        return predicted

    def _draw(self, batch: WindowBatch, n_rows: int, n_patches: int, context: Context) -> Tensor:
        """(B, M) tokens to mask."""
        draws = context.window_draws(MASKS, batch["corpus"], len(batch["signal"]))
        rows, grid = self.grid(batch, n_rows, n_patches)
        return rows.among_all(self.masks.masked(grid, draws), n_patches)
