"""Element-wise masking in latent space.

Shapes: B windows, R rows, P patches per row, N = R * P tokens, S sites (N tokens or P patches), D width.
"""

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.errors import ConfigError
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import MASKS, Context, WindowDraws
from eegfm.nn.device import sent
from eegfm.objectives.base import LossOutput
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.latent.objective import LatentObjective, normalized_vectors
from eegfm.objectives.patches.masks.draw import Grid
from eegfm.objectives.smart.config import SmartConfig


class Smart(LatentObjective):
    """Predict the teacher's vectors of hidden tokens from the encoder's own vectors at the same places.

    A learned token takes the place of what is hidden; nothing is left out, so shapes do not depend on the share. Where
    the encoder gives one vector for a patch of all channels, patches with a hidden token are scored. Behind an adapter
    that learns, which could write one channel into another, all channels of a patch are hidden together.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.
        labels: See the base class.

    Raises:
        ConfigError: See the base class; or a window has one token only.
    """

    def __init__(self, config: SmartConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__(config, backbone, labels=labels)
        self.config: SmartConfig = config
        encoder = backbone.encoder
        for grid in self.grids.longest(whole_patches=any(True for _ in backbone.adapter.parameters())).values():
            n, unit = (grid.n_patches, "patches") if grid.whole_patches else (grid.n_tokens, "tokens")
            if n < 2:
                raise ConfigError(
                    f"objective smart hides some of the {unit} of a window, but there is {n}; use longer windows"
                )
        self.mask_token = nn.Parameter(0.02 * torch.randn(encoder.d_token))
        self.predictor = nn.Sequential(
            nn.LayerNorm(encoder.d_model),
            nn.Linear(encoder.d_model, config.predictor_width),
            nn.GELU(),
            nn.Linear(config.predictor_width, encoder.d_model),
        )

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss; see the base class. Logs hold ``loss`` and those of ``LatentObjective.score``."""
        windows = self.windows(batch, context)
        tokens = self.encoder.tokenize(windows)
        drawn = self._draw(windows, tokens.n_rows, tokens.n_patches, context)
        is_hidden = sent(drawn, tokens.content.device)
        token = self.mask_token.to(tokens.content.dtype)
        replaced = tokens.with_content(torch.where(is_hidden.unsqueeze(-1), token, tokens.content))
        vectors = self.encoder.encode(replaced)
        assert self.teacher is not None, "the base class builds it"
        target = normalized_vectors(self.teacher(batch))
        scored = is_hidden if self.is_of_tokens else is_hidden.view(-1, tokens.n_rows, tokens.n_patches).any(dim=1)
        loss, logs = self.score(self.predictor(vectors), target, scored, context)
        return LossOutput(loss, {"loss": loss.detach(), **logs})

    def _draw(self, windows: WindowBatch, n_rows: int, n_patches: int, context: Context) -> Tensor:
        """(B, N) bool, True for hidden tokens; none of absent channels. On the CPU."""
        draws = context.window_draws(MASKS, windows["corpus"], len(windows["signal"]))
        whole_patches = "target_signal" in windows
        rows, grid = self.grids.of(windows, n_rows, n_patches, whole_patches=whole_patches)
        ratio = self.config.max_ratio * draws.uniform(1)
        drawn = hidden_patches(grid, ratio, draws) if whole_patches else hidden_tokens(grid, ratio, draws)
        everywhere = torch.zeros(len(drawn), n_rows * n_patches, dtype=torch.bool)
        place = rows.among_all(torch.arange(grid.n_tokens).expand(len(drawn), -1), n_patches)
        return everywhere.scatter_(1, place, drawn)


def hidden_tokens(grid: Grid, ratio: Tensor, draws: WindowDraws) -> Tensor:
    """(B, n) bool: the share (B, 1) of its own tokens that each window hides, at least one and not all."""
    noise, present = draws.uniform(grid.n_tokens), grid.present_tokens
    if present is None:
        present = torch.ones_like(noise, dtype=torch.bool)
    return _lowest(noise.masked_fill(~present, torch.inf), ratio, present.sum(dim=1, keepdim=True))


def hidden_patches(grid: Grid, ratio: Tensor, draws: WindowDraws) -> Tensor:
    """(B, n) bool: likewise, but all channels of a patch together."""
    hidden = _lowest(draws.uniform(grid.n_patches), ratio, torch.tensor(grid.n_patches)).repeat(1, grid.n_rows)
    return hidden if grid.present_tokens is None else hidden & grid.present_tokens


def _lowest(noise: Tensor, ratio: Tensor, n_present: Tensor) -> Tensor:
    """Bool, True for the lowest of (B, n) numbers: a share of the (B, 1) present ones."""
    n_hidden = (ratio * n_present).round().clamp_min(1).minimum((n_present - 1).clamp_min(0).to(ratio.dtype))
    return noise.argsort(dim=1).argsort(dim=1) < n_hidden
