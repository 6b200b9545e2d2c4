"""Shared parts of the objectives that mask patches and predict them: targets, scores, reconstructions.

Shapes: B windows, C channels, R rows of G = C / R channels (G is 1 for most encoders), P patches per row, N = R * P
tokens, M masked tokens, K target values of one channel.
"""

import logging
from abc import abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.encoders.base import Encoded
from eegfm.encoders.tokens import Tokens, Visible, take
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import Context
from eegfm.objectives.base import LossOutput, Objective, Reconstruction
from eegfm.objectives.patches.config import PatchObjectiveConfig, listed_choices
from eegfm.objectives.patches.grids import TokenGrids, mixes_channels
from eegfm.objectives.patches.masks.draw import Grid, MaskDrawer
from eegfm.objectives.patches.rows import Rows
from eegfm.objectives.patches.targets import PatchTargets, token_group_mask

logger = logging.getLogger(__name__)


class Masking(NamedTuple):
    """A batch after masking.

    Args:
        masked: (B, M) masked tokens, ascending.
        tokens: All tokens; the content of those that are masked may still be there, or may never have been embedded.
        encoded: Vectors that the encoder gave without masked content.
        visible: Which tokens were encoded, where not all were.
        whole: Vectors and features of whole windows, where all tokens were encoded.
    """

    masked: Tensor
    tokens: Tokens
    encoded: Tensor
    visible: Visible | None = None
    whole: Encoded | None = None


class PatchObjective(Objective):
    """Mean squared error of the contents of masked patches. Absent channels, padding or bad, are not scored.

    Windows of one batch may lack different channels. A window with fewer tokens masks fewer of them: its list of masked
    tokens is filled up with tokens of absent channels, which nothing sees and no loss counts.

    Where learned weights made the signal (``target_signal``), they could write the target of one channel into another:
    all channels of a patch are masked together then.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.

    Raises:
        ConfigError: The encoder cannot do what is asked, its tokens know of masked patches, the ratio masks none or all
            tokens of a window, or ``high_hz`` reaches half the rate.
    """

    def __init__(self, config: PatchObjectiveConfig, backbone: Backbone) -> None:
        super().__init__(config, backbone)
        self.config = config
        encoder = backbone.encoder
        config.check_leaks(backbone.leaks, type(encoder).__name__)
        if backbone.leaks:
            logger.warning("masked patches leak into every token, as allowed: %s", listed_choices(backbone.leaks))
        self.masks = MaskDrawer(
            config.mask,
            config.mask_ratio,
            encoder.patch_samples,
            encoder.channels_per_token,
        )
        self.targets = PatchTargets(config.target, config.of, config.high_hz, backbone)
        self.n_values = encoder.channels_per_token * self.targets.n_values
        self.grids = TokenGrids(backbone)
        self.grids.check(self.masks, whole_patches=mixes_channels(config.mask, backbone))
        _check_sight(config, self.masks, self.grids, backbone)

    def setup(self, batches: Iterable[StoredBatch], context: Context) -> None:
        """Estimate mean and standard deviation of each frequency; samples need none."""
        self.targets.fit(self.backbone, map(self.backbone.prepare, batches))

    def grid(self, batch: WindowBatch, n_rows: int, n_patches: int) -> tuple[Rows, Grid]:
        """Find the rows of tokens that masks are drawn of."""
        return self.grids.of(batch, n_rows, n_patches, whole_patches="target_signal" in batch)

    @abstractmethod
    def mask(self, batch: WindowBatch, context: Context) -> Masking:
        """Choose the tokens to mask, and encode without their content."""

    @abstractmethod
    def predict(self, masking: Masking, index: Tensor) -> Tensor:
        """(B, M, G * K) predicted contents of the tokens (B, M)."""

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss; see the base class.

        Logs hold ``loss``, ``baseline_loss``, that of predicting the training mean everywhere (zero, for samples), and
        ``visible_mean_loss``, that of predicting the mean of the window's visible patches.
        """
        windows = self.windows(batch, context)
        masking = self.mask(windows, context)
        everything = self.targets(self.targets.asked_patches(self.backbone, self._asked(batch, windows)))
        target = everything.take_along_dim(masking.masked[..., None, None], dim=1)
        prediction = self.predict(masking, masking.masked).float().view_as(target)
        mask = token_group_mask(self.encoder, windows, masking.tokens.n_patches)
        from_mean = target - _visible_mean(everything, masking.masked, mask)
        if mask is None:
            loss, losses = mse_loss(prediction, target), [e.square().mean() for e in (target, from_mean)]
        else:
            scored = take(mask.expand(len(target), -1, -1), masking.masked)
            loss, *losses = (_mean_where(e.square(), scored) for e in (prediction - target, target, from_mean))
        logs = dict(zip(("loss", "baseline_loss", "visible_mean_loss"), (loss, *losses), strict=True))
        return LossOutput(loss, {name: value.detach() for name, value in logs.items()}, masking.whole)

    def _asked(self, batch: StoredBatch, shown: WindowBatch) -> WindowBatch:
        """Windows that targets are computed from."""
        is_shown = not len(self.augmentations.members) or self.config.target_from == "shown"
        return shown if is_shown else self.backbone.prepare(batch)

    @torch.no_grad()
    def reconstruct(self, batch: StoredBatch, context: Context) -> Reconstruction:
        """Show targets and predictions in physical units; see ``Reconstructs``."""
        windows = self.windows(batch, context)
        masking = self.mask(windows, context)
        R, P, G = masking.tokens.n_rows, masking.tokens.n_patches, self.encoder.channels_per_token
        B, C, _ = windows["signal"].shape
        is_masked = Visible(masking.masked).mask(R * P)
        target = self.targets(self.targets.asked_patches(self.backbone, self._asked(batch, windows)))
        everywhere = torch.arange(R * P, device=target.device).expand(B, -1)
        prediction = self.predict(masking, everywhere).float().view_as(target)

        def by_channel(values: Tensor) -> Tensor:
            return values.view(B, R, P, G, -1).transpose(2, 3).reshape(B, R * G, P, -1)[:, :C]

        return {
            "signal_uv": windows["signal_uv"].detach(),
            "mask": is_masked.view(B, R, P).repeat_interleave(G, dim=1)[:, :C] & windows["channel_mask"].unsqueeze(-1),
            "target": by_channel(self.targets.physical(target)),
            "prediction": by_channel(self.targets.physical(prediction)),
            "unit": self.targets.unit,
            "frequencies_hz": list(self.targets.frequencies_hz),
        }


def _check_sight(config: PatchObjectiveConfig, masks: MaskDrawer, grids: TokenGrids, backbone: Backbone) -> None:
    """Refuse an encoder that would see nothing of what is visible."""
    encoder, is_mixed = backbone.encoder, mixes_channels(config.mask, backbone)
    for montage, grid in grids.longest(whole_patches=is_mixed).items():
        unit = masks.unit(grid)
        if is_mixed:
            why, instead = "the adapter learns, so whole patches are masked", "an adapter without weights"
        else:
            why = f"windows of montage {montage} have {grid.n_rows} x {grid.n_patches} tokens (channels x patches)"
            why += "" if unit == "tokens" else f", of which whole {unit} are masked"
            instead = "objective.mask.name: random, or windows of more channels or patches (cuts.*.length_s)"
        visible = {
            "channels": grid.n_rows > 1 and unit != "patches",
            "patches": grid.n_patches > 1 and unit != "channels",
        }
        config.check_sight(encoder.sight, type(encoder).__name__, why, **visible, instead=instead)


@torch.no_grad()
def _visible_mean(targets: Tensor, masked: Tensor, mask: Tensor | None) -> Tensor:
    """(B, 1, 1, K) mean of a window's (B, N, G, K) targets over patches that are neither masked (B, M) nor absent."""
    is_visible = ~Visible(masked).mask(targets.shape[1]).unsqueeze(-1).expand(targets.shape[:3])
    weights = (is_visible if mask is None else is_visible & mask).unsqueeze(-1).to(targets.dtype)
    total = (targets * weights).sum(dim=(1, 2), keepdim=True)
    return total / weights.sum(dim=(1, 2), keepdim=True).clamp_min(1)


def _mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of (B, M, G, K) values where (B, M, G) is True, window by window, then of the windows that have any."""
    weights = mask.unsqueeze(-1).to(values.dtype)
    n_scored = weights.sum(dim=(1, 2, 3)) * values.shape[-1]
    by_window = (values * weights).sum(dim=(1, 2, 3)) / n_scored.clamp_min(1)
    return by_window.sum() / (n_scored > 0).sum().clamp_min(1)
