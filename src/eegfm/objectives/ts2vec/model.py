"""Hierarchical contrast of two masked crops of each window.

Shapes: B windows of all ranks, b those of this rank, R rows, P patches per row of a crop, T patches of the overlap, D
width.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.inference.backbone import Backbone
from eegfm.losses.hierarchical import hierarchical_contrast
from eegfm.metrics.spread import mean_sd
from eegfm.nn.context import CROPS, MASKS, Context, WindowDraws
from eegfm.nn.device import sent
from eegfm.nn.false_negatives import sharing_samples
from eegfm.nn.full_precision import full
from eegfm.nn.gather import of_all_ranks
from eegfm.nn.unit_length import unit_length
from eegfm.objectives.base import LossOutput, Objective
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.patches.grids import TokenGrids
from eegfm.objectives.patches.masks.draw import MaskDrawer
from eegfm.objectives.ts2vec.config import Ts2VecConfig


class Ts2Vec(Objective):
    """Contrast the vectors of patches, mean over channels, between two crops that overlap.

    A learned token takes the place of what is hidden. Where the crops begin is drawn for all windows of a micro-batch
    together, in whole patches: crops have one length, and so static shapes.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.
        labels: See the base class.

    Raises:
        ConfigError: The encoder cannot do what is asked, or the ratio masks none or all tokens of a window.
    """

    def __init__(self, config: Ts2VecConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__(config, backbone, labels=labels)
        self.config = config
        encoder = backbone.encoder
        self.masks = MaskDrawer(config.mask, config.mask_ratio, encoder.patch_samples, encoder.channels_per_token)
        self.grids = TokenGrids(backbone)
        for grid in self.grids.longest(whole_patches=False).values():
            self.masks.check(replace(grid, n_patches=self.n_cropped(grid.n_patches)))
        self.mask_token = nn.Parameter(0.02 * torch.randn(encoder.d_token))

    def n_cropped(self, n_patches: int) -> int:
        """Patches of a crop of a window of ``n_patches``: more than half of them."""
        if self.encoder.traits.one_length:
            return n_patches
        return max(round(self.config.crop_ratio * n_patches), n_patches // 2 + 1)

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss; see the base class.

        Logs hold ``loss``; ``chance_loss``, that of similarities that are all equal; ``feature_sd``, the standard
        deviation over windows of the mean vector of their overlap, 0 after a collapse.
        """
        windows = self.windows(batch, context)
        n_patches = windows["signal"].shape[-1] // self.encoder.patch_samples
        n_cropped = self.n_cropped(n_patches)
        begins = self._begins(n_patches - n_cropped, batch["corpus"], context)
        n_common = n_cropped - abs(begins[0] - begins[1])
        draws = context.window_draws(MASKS, batch["corpus"], len(windows["signal"]))
        views = []
        for begin in begins:
            by_patch = self._by_patch(self._crop(windows, begin, n_cropped), draws)
            common = by_patch[:, max(begins) - begin :][:, :n_common]
            views.append(of_all_ranks(unit_length(full(common)), context))
        shared = _shared(batch, windows["signal"].shape[-1], context)
        loss = hierarchical_contrast(views[0], views[1], self.config.temperature, shared=shared)
        logs = {
            "loss": loss.detach(),
            "chance_loss": chance_loss(views[0].detach(), shared),
            "feature_sd": mean_sd(views[0].detach().mean(dim=1)),
        }
        return LossOutput(loss, logs)

    def _begins(self, n_left: int, corpus: str, context: Context) -> tuple[int, int]:
        """First patches of both crops, of the ``n_left + 1`` places where one fits; the same on every rank."""
        first, second = torch.randint(n_left + 1, (2,), generator=context.generator(CROPS, corpus)).tolist()
        return first, second

    def _crop(self, windows: WindowBatch, begin: int, n_patches: int) -> WindowBatch:
        """Cut some patches out of all windows."""
        S = self.encoder.patch_samples
        cropped: WindowBatch = {**windows, "signal": windows["signal"][..., begin * S : (begin + n_patches) * S]}
        cropped["signal_uv"] = windows["signal_uv"][..., begin * S : (begin + n_patches) * S]
        return cropped

    def _by_patch(self, windows: WindowBatch, draws: WindowDraws) -> Tensor:
        """(b, P, D) vectors of the patches, mean over the channels that are there, seen without what is hidden."""
        tokens = self.encoder.tokenize(windows)
        rows, grid = self.grids.of(windows, tokens.n_rows, tokens.n_patches, whole_patches=False)
        hidden = rows.among_all(self.masks.masked(grid, draws), tokens.n_patches)
        hidden = sent(hidden, tokens.content.device)
        encoded = self.encoder.encode(tokens.with_content_at(hidden, self.mask_token))
        if self.encoder.traits.output == "patches":
            return encoded
        by_row = encoded.view(len(encoded), tokens.n_rows, tokens.n_patches, -1)
        mask = self.encoder.row_mask(windows)
        if mask is None:
            return by_row.mean(dim=1)
        weights = mask[..., None, None].to(by_row.dtype)
        return (by_row * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)


def _shared(batch: StoredBatch, n_samples: int, context: Context) -> Tensor | None:
    """(B, B) which windows of all ranks share samples; None where a batch says nothing of it."""
    if "first_row" not in batch:
        return None
    return sharing_samples(of_all_ranks(batch["first_row"], context), n_samples)


def chance_loss(view: Tensor, shared: Tensor | None) -> Tensor:
    """Compute the loss of ``hierarchical_contrast`` where all similarities are equal; for its arguments see there."""
    equal = torch.zeros_like(view)
    return hierarchical_contrast(equal, equal, shared=shared)
