"""What objectives that hide patches and ask for them have in common: targets, scores, reconstructions.

Shapes: B windows, C channels, R rows of G = C / R channels (G is 1 for most encoders), P patches per row, N = R * P
tokens, M hidden tokens, K target values of one channel.
"""

import logging
from abc import abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import mse_loss

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.encoders.tokens import Tokens, Visible, take
from eegfm.objectives.base import Objective, Reconstruction
from eegfm.objectives.config import PatchObjectiveConfig, listed_choices
from eegfm.objectives.masks import n_hidden
from eegfm.objectives.targets import PatchTargets, asked_patches_uv, token_group_mask

logger = logging.getLogger(__name__)


class Hiding(NamedTuple):
    """What is left of a batch after hiding.

    Args:
        hidden: (B, M) hidden tokens, ascending.
        tokens: All tokens; the content of those that are hidden may still be there.
        encoded: What the encoder gave without hidden content.
        visible: Which tokens were encoded, where not all were.
    """

    hidden: Tensor
    tokens: Tokens
    encoded: Tensor
    visible: Visible | None = None


class PatchObjective(Objective):
    """Mean squared error of what hidden patches held. Masked channels, padding or bad, are neither hidden nor scored.

    Windows of one batch may mask different channels. A window with fewer real tokens hides fewer of them: its list of
    hidden tokens is filled up with tokens of masked channels, which nothing sees and no loss counts.

    Where learned weights made the signal (``target_signal``), they could write what one channel is asked for into
    another: all channels of a patch are hidden together then.

    Args:
        config: Choices.
        encoder: The encoder to train.
        spec: What the data decides.

    Raises:
        ConfigError: The encoder cannot do what is asked, its tokens know of hidden patches, the ratio hides none or all
            tokens of a window, or ``high_hz`` reaches half the rate.
    """

    def __init__(self, config: PatchObjectiveConfig, encoder: Encoder, spec: SignalSpec) -> None:
        super().__init__(encoder)
        config.check_traits(encoder.traits, type(encoder).__name__)
        config.check_leaks(encoder.leaks, type(encoder).__name__)
        if encoder.leaks:
            logger.warning("hidden patches leak into every token, as allowed: %s", listed_choices(encoder.leaks))
        self.mask_ratio = config.mask_ratio
        self.targets = PatchTargets(config.target, config.high_hz, encoder, spec)
        self.n_values = encoder.channels_per_token * self.targets.n_values
        for montage, n_samples in spec.n_samples.items():
            n_rows = -(-spec.montages[montage].n_channels // encoder.channels_per_token)
            n_hidden(config.mask_ratio, n_rows * (n_samples // encoder.patch_samples))

    def fit_statistics(self, batches: Iterable[WindowBatch]) -> None:
        """Estimate mean and standard deviation of each frequency; samples need none."""
        self.targets.fit(self.encoder, batches)

    @abstractmethod
    def hide(self, batch: WindowBatch, generator: Generator) -> Hiding:
        """Choose what to hide, and encode without it."""

    @abstractmethod
    def predict(self, hiding: Hiding, index: Tensor) -> Tensor:
        """(B, M, G * K) what the tokens (B, M) held."""

    def forward(self, batch: WindowBatch, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss; see the base class.

        Logs hold ``loss`` and ``baseline_loss``, that of predicting the training mean everywhere (zero, for
        samples).
        """
        hiding = self.hide(batch, generator)
        asked_uv = asked_patches_uv(self.encoder, batch).take_along_dim(hiding.hidden[..., None, None], dim=1)
        target = self.targets(asked_uv)
        prediction = self.predict(hiding, hiding.hidden).float().view_as(target)
        mask = token_group_mask(self.encoder, batch, hiding.tokens.n_patches)
        if mask is None:
            loss, baseline = mse_loss(prediction, target), target.square().mean()
        else:
            scored = take(mask.expand(len(target), -1, -1), hiding.hidden)
            loss, baseline = (_mean_where(e.square(), scored) for e in (prediction - target, target))
        return loss, {"loss": loss.detach(), "baseline_loss": baseline}

    @torch.no_grad()
    def reconstruct(self, batch: WindowBatch, generator: Generator) -> Reconstruction:
        """Show targets and predictions in physical units; see the base class."""
        hiding = self.hide(batch, generator)
        R, P, G = hiding.tokens.n_rows, hiding.tokens.n_patches, self.encoder.channels_per_token
        B, C, _ = batch["signal"].shape
        is_hidden = Visible(hiding.hidden).mask(R * P)
        target = self.targets(asked_patches_uv(self.encoder, batch))
        everywhere = torch.arange(R * P, device=target.device).expand(B, -1)
        prediction = self.predict(hiding, everywhere).float().view_as(target)

        def by_channel(values: Tensor) -> Tensor:
            return values.view(B, R, P, G, -1).transpose(2, 3).reshape(B, R * G, P, -1)[:, :C]

        return {
            "signal_uv": batch["signal"].detach(),
            "mask": is_hidden.view(B, R, P).repeat_interleave(G, dim=1)[:, :C] & batch["channel_mask"].unsqueeze(-1),
            "target": by_channel(self.targets.physical(target)),
            "prediction": by_channel(self.targets.physical(prediction)),
            "unit": self.targets.unit,
            "frequencies_hz": list(self.targets.frequencies_hz),
        }

    def real_rows(self, batch: WindowBatch) -> "RealRows | None":
        """The rows of tokens of each window that hold a real channel; None where all do."""
        mask = self.encoder.row_mask(batch)
        return None if mask is None else RealRows.of(mask.cpu())


class RealRows(NamedTuple):
    """Which rows of tokens are real, window by window: padding is the same in all, bad channels are a recording's own.

    Args:
        order: (B, n) rows, n the largest number of real ones: those that are real, ascending, and then some that are
            not where a window has fewer.
        n_each: (B,) how many are real.
    """

    order: Tensor
    n_each: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> "RealRows":
        """From (B, R) bool."""
        n_each = mask.sum(dim=1)
        return cls((~mask).to(torch.int8).argsort(dim=1, stable=True)[:, : int(n_each.max())], n_each)

    @property
    def n_most(self) -> int:
        """Real rows of the window that has most."""
        return self.order.shape[1]

    @property
    def n_least(self) -> int:
        """Real rows of the window that has fewest."""
        return int(self.n_each.min())


def token_index(index: Tensor, real: RealRows | None, n_patches: int) -> Tensor:
    """Numbers among the tokens of ``real.order`` as numbers among all tokens, ascending."""
    if real is None:
        return index
    rows = real.order.to(index.device).take_along_dim(index // n_patches, dim=1)
    return (rows * n_patches + index % n_patches).sort(dim=1).values


def _mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of (B, M, G, K) values where (B, M, G) is True, window by window, then of the windows that have any."""
    weights = mask.unsqueeze(-1).to(values.dtype)
    n_scored = weights.sum(dim=(1, 2, 3)) * values.shape[-1]
    by_window = (values * weights).sum(dim=(1, 2, 3)) / n_scored.clamp_min(1)
    return by_window.sum() / (n_scored > 0).sum().clamp_min(1)
