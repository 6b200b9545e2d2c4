"""Contrastive objective: InfoNCE between the windows of pairs, or SupCon between windows of a class.

Shapes: B windows of all ranks, b those of this rank, N tokens.
"""

import math

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch
from eegfm.encoders.base import Encoded
from eegfm.inference.backbone import Backbone
from eegfm.losses.contrast import Contrast, info_nce, supervised_contrast
from eegfm.nn.context import VIEWS, Context
from eegfm.nn.device import sent
from eegfm.nn.false_negatives import allowed_negatives
from eegfm.nn.gather import of_all_ranks
from eegfm.objectives.base import LossOutput
from eegfm.objectives.contrastive.config import ContrastiveConfig
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.pairs.objective import Embedded, PairObjective

_MAX_SHARPNESS = 100.0


class Contrastive(PairObjective):
    """Make the windows of a pair similar, and unlike the windows that may be their negatives.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.
        labels: See the base class.

    Raises:
        ConfigError: Patches are to be hidden, and the encoder has none.
    """

    def __init__(self, config: ContrastiveConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__(config, backbone, labels=labels)
        self.config = config
        self.log_sharpness: nn.Parameter | None = None
        if config.learned_temperature:
            self.log_sharpness = nn.Parameter(torch.tensor(-math.log(config.temperature)))
        self.hidden_token: nn.Parameter | None = None
        if config.complementary_ratio is not None:
            self.hidden_token = nn.Parameter(0.02 * torch.randn(self.encoder.d_token))

    @property
    def temperature(self) -> float | Tensor:
        """What similarities are divided by."""
        if self.log_sharpness is None:
            return self.config.temperature
        return 1 / self.log_sharpness.exp().clamp_max(_MAX_SHARPNESS)

    @property
    def encodes_untouched(self) -> bool:
        """See the base class; patches may be hidden."""
        return super().encodes_untouched and self.hidden_token is None

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss; see the base class.

        Logs hold ``loss``; ``chance_loss``, that of similarities that are all equal; ``top1``, the share of windows
        that are nearest to their partner; ``without_negatives_ratio``, the share that had nothing to compare with.
        """
        embedded = self.embed(batch, context)
        allowed = allowed_negatives(embedded.pairs)
        found = self._contrast(embedded, allowed, batch, context)
        n_windows = len(embedded.projected)
        logs = {
            "loss": found.loss.detach(),
            "without_negatives_ratio": found.n_without / n_windows,
            **_retrieval(embedded.projected.detach(), allowed),
        }
        if self.log_sharpness is not None:
            logs["temperature"] = torch.as_tensor(self.temperature).detach()
        return LossOutput(found.loss, logs, embedded.own)

    def encode(self, batch: StoredBatch, context: Context) -> Encoded:
        """Encode the windows of this rank, each without the patches that only its partner is shown."""
        windows = self.windows(batch, context)
        if self.hidden_token is None:
            return self.encoder.encode_with_features(windows)
        assert self.config.complementary_ratio is not None
        tokens = self.encoder.tokenize(windows)
        n_windows, n_tokens, _ = tokens.content.shape
        drawn = context.window_draws(VIEWS, batch["corpus"], n_windows).uniform(n_tokens)[: n_windows // 2]
        n_shown = min(max(round(self.config.complementary_ratio * n_tokens), 1), n_tokens - 1)
        is_shown = drawn.argsort(dim=1).argsort(dim=1) < n_shown
        hidden = sent(torch.cat([~is_shown, is_shown]), tokens.content.device).unsqueeze(-1)
        token = self.hidden_token.to(tokens.content.dtype)
        return self.encoder.encode_with_features(
            windows, tokens.with_content(torch.where(hidden, token, tokens.content))
        )

    def _contrast(self, embedded: Embedded, allowed: Tensor, batch: StoredBatch, context: Context) -> Contrast:
        if self.config.positives == "partner":
            return info_nce(embedded.projected, self.temperature, allowed=allowed)
        labels = batch.get("targets", {}).get("label")
        assert labels is not None, "the plan draws windows with labels for supervised contrast"
        return supervised_contrast(embedded.projected, of_all_ranks(labels, context), self.temperature)


@torch.no_grad()
def _retrieval(projected: Tensor, allowed: Tensor) -> dict[str, Tensor]:
    """Share of windows that are nearer to their partner than to any negative, and the loss without any preference."""
    unit = nn.functional.normalize(projected.float(), dim=-1)
    n_windows = len(unit)
    place = torch.arange(n_windows, device=unit.device) % max(n_windows // 2, 1)
    is_negative = allowed & (place[:, None] != place[None, :])
    positive = (unit * unit.roll(n_windows // 2, dims=0)).sum(dim=-1)
    nearest = (unit @ unit.T).masked_fill(~is_negative, -torch.inf).amax(dim=1)
    counts = is_negative.any(dim=1)
    n_counted = counts.sum().clamp_min(1)
    chance = torch.log1p(is_negative.sum(dim=1).float())
    return {
        "top1": ((positive > nearest) & counts).sum() / n_counted,
        "chance_loss": chance.masked_fill(~counts, 0.0).sum() / n_counted,
    }
