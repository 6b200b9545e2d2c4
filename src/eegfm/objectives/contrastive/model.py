"""Contrastive objective: InfoNCE between the windows of pairs, or SupCon between windows of a class.

Shapes: B windows of all ranks, b those of this rank, N tokens.
"""

import math

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.encoders.base import Encoded
from eegfm.inference.backbone import Backbone
from eegfm.losses.contrast import Contrast, info_nce, supervised_contrast
from eegfm.nn.context import VIEWS, Context
from eegfm.nn.device import sent
from eegfm.nn.false_negatives import Compared, by_class, by_partner, sharing_samples
from eegfm.nn.full_precision import full_precision
from eegfm.nn.gather import of_all_ranks
from eegfm.objectives.base import LossOutput
from eegfm.objectives.contrastive.config import ContrastiveConfig
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.pairs.objective import Embedded, PairObjective

_MAX_SHARPNESS = 100.0
"""Largest reciprocal of a learned temperature."""


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
        """Divisor of similarities."""
        if self.log_sharpness is None:
            return self.config.temperature
        return (-self.log_sharpness).exp()

    @property
    def features_lack_patches(self) -> bool:
        """See the base class."""
        return self.hidden_token is not None

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss; see the base class.

        Logs hold ``loss``; ``chance_loss``, that of similarities that are all equal; ``top1_<pairing>``, the share of
        windows whose nearest one, of all that the loss compares them with, is a positive; ``without_negatives_ratio``,
        the share that had nothing to compare with, or no positive.
        """
        embedded = self.embed(batch, context)
        compared = self._compared(embedded, batch, context)
        found = self._contrast(embedded.projected, compared)
        n_windows = len(embedded.projected)
        logs = {
            "loss": found.loss.detach(),
            "without_negatives_ratio": found.n_without / n_windows,
            **_retrieval(embedded.projected.detach(), compared, embedded.pairs.pairing),
        }
        if self.log_sharpness is not None:
            logs["temperature"] = torch.as_tensor(self.temperature).detach()
        return LossOutput(found.loss, logs, embedded.own)

    def encode(self, windows: WindowBatch, context: Context) -> Encoded:
        """Encode the windows of this rank, each without the patches that only its partner is shown."""
        if self.hidden_token is None:
            return self.encoder.encode_with_features(windows)
        assert self.config.complementary_ratio is not None
        tokens = self.encoder.tokenize(windows)
        n_windows, n_tokens, _ = tokens.content.shape
        drawn = context.window_draws(VIEWS, windows["corpus"], n_windows).uniform(n_tokens)[: n_windows // 2]
        n_shown = min(max(round(self.config.complementary_ratio * n_tokens), 1), n_tokens - 1)
        is_shown = drawn.argsort(dim=1).argsort(dim=1) < n_shown
        hidden = sent(torch.cat([~is_shown, is_shown]), tokens.content.device).unsqueeze(-1)
        token = self.hidden_token.to(tokens.content.dtype)
        return self.encoder.encode_with_features(
            windows, tokens.with_content(torch.where(hidden, token, tokens.content))
        )

    @torch.no_grad()
    def after_step(self, context: Context) -> None:
        """Keep a learned temperature above a hundredth: a bound of the weight, so that its gradient never ends there.

        The bound holds before every step, and so for a weight whose step is left out.
        """
        if self.log_sharpness is not None:
            self.log_sharpness.clamp_(max=math.log(_MAX_SHARPNESS))

    def _compared(self, embedded: Embedded, batch: StoredBatch, context: Context) -> Compared:
        """Positives and negatives of the windows of all ranks."""
        if self.config.positives == "partner":
            return by_partner(embedded.pairs)
        labels, shared = of_all_ranks(batch["targets"]["label"], context), None
        if "first_row" in batch:
            shared = sharing_samples(of_all_ranks(batch["first_row"], context), batch["samples"].shape[1])
        return by_class(embedded.pairs, labels, shared)

    def _contrast(self, projected: Tensor, compared: Compared) -> Contrast:
        if self.config.positives == "partner":
            return info_nce(projected, self.temperature, allowed=compared.negatives)
        return supervised_contrast(projected, *compared, self.temperature)


@torch.no_grad()
@full_precision
def _retrieval(projected: Tensor, compared: Compared, pairing: str) -> dict[str, Tensor]:
    """Share of windows that are nearer to a positive than to any negative, and the loss without any preference."""
    positives, negatives = compared
    unit = nn.functional.normalize(projected, dim=-1)
    similarity = unit @ unit.T
    nearest, other = (similarity.masked_fill(~mask, -torch.inf).amax(dim=1) for mask in compared)
    counts = positives.any(dim=1) & negatives.any(dim=1)
    n_counted = counts.sum().clamp_min(1)
    chance = (positives | negatives).sum(dim=1).clamp_min(1).float().log()
    return {
        f"top1_{pairing}": ((nearest > other) & counts).sum() / n_counted,
        "chance_loss": chance.masked_fill(~counts, 0.0).sum() / n_counted,
    }
