"""Masked prediction: hide patches behind one learned token and predict what they held.

Shapes: B windows, P patches per row, M hidden tokens.
"""

import torch
from torch import Generator, Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.objectives.config import MaskedConfig
from eegfm.objectives.masks import draw_hidden, draw_hidden_each
from eegfm.objectives.patches import Hiding, PatchObjective, token_index


class Masked(PatchObjective):
    """Encode all tokens, those that are hidden without their content.

    A hidden token loses its content and keeps its place. Patches do not overlap, and an encoder embeds each from its
    own samples: one whose statistics reach over the window is refused (``MaskedConfig.allow_leaks``). So no prediction
    depends on the samples of a hidden patch. What is hidden are patches of the windows as they come: behind the common
    average reference or an interpolation, every channel holds a share of the others, and so do visible ones of hidden.

    Args:
        config: Choices.
        encoder: The encoder to train.
        spec: What the data decides.

    Raises:
        ConfigError: See the base class.
    """

    def __init__(self, config: MaskedConfig, encoder: Encoder, spec: SignalSpec) -> None:
        super().__init__(config, encoder, spec)
        self.config = config
        self.mask_token = nn.Parameter(0.02 * torch.randn(encoder.d_token))
        self.head = encoder.new_decoder(self.n_values)

    def hide(self, batch: WindowBatch, generator: Generator) -> Hiding:
        """Put the mask token in the place of hidden content; see the base class."""
        tokens = self.encoder.tokenize(batch)
        hidden = self._draw(batch, tokens.n_rows, tokens.n_patches, generator).to(tokens.content.device)
        index = hidden.unsqueeze(-1).expand(-1, -1, tokens.content.shape[-1])
        # Scattered in, not blended: not even a value that is not finite gets past.
        token = self.mask_token.to(tokens.content.dtype).expand(index.shape)
        hiding = tokens.with_content(tokens.content.scatter(1, index, token))
        return Hiding(hidden, hiding, self.encoder.encode(hiding))

    def predict(self, hiding: Hiding, index: Tensor) -> Tensor:
        """Ask the encoder's decoder; see the base class."""
        predicted: Tensor = self.head(hiding.encoded, hiding.tokens, index)
        return predicted

    def _draw(self, batch: WindowBatch, n_rows: int, n_patches: int, generator: Generator) -> Tensor:
        """(B, M) tokens to hide, among those of real channels."""
        size, real = len(batch["signal"]), self.real_rows(batch)
        n_real = n_rows if real is None else real.n_most
        if "target_signal" in batch:
            patches = draw_hidden(size, n_patches, self.mask_ratio, generator, what="patches")
            first_tokens = n_patches * torch.arange(n_real, device=patches.device)
            hidden = (first_tokens.unsqueeze(-1) + patches.unsqueeze(1)).flatten(1)
        elif real is None:
            hidden = draw_hidden(size, n_real * n_patches, self.mask_ratio, generator)
        else:
            hidden = draw_hidden_each(real.n_each * n_patches, self.mask_ratio, generator)
        return token_index(hidden, real, n_patches)
