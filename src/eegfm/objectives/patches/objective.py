"""Shared parts of the objectives that mask patches and predict them: targets, scores, reconstructions.

Shapes: B windows, C channels, R rows of G = C / R channels (G is 1 for most encoders), P patches per row, N = R * P
tokens, M masked tokens, K predicted values.
"""

import logging
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.encoders.tokens import Tokens, Visible
from eegfm.inference.backbone import Backbone
from eegfm.losses.queries import query_likeness
from eegfm.nn.context import Context
from eegfm.objectives.base import LossOutput, Objective, Reconstruction
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.patches.config import PatchObjectiveConfig, listed_choices
from eegfm.objectives.patches.exact import others
from eegfm.objectives.patches.grids import TokenGrids, mixes_channels
from eegfm.objectives.patches.masks.draw import Grid, MaskDrawer
from eegfm.objectives.patches.rows import Rows
from eegfm.objectives.patches.targets.base import Asked, Place, Scores, Source, Target, token_group_mask

logger = logging.getLogger(__name__)


class Masking(NamedTuple):
    """A batch after masking.

    Args:
        masked: (B, M) masked tokens, ascending.
        tokens: All tokens; the content of those that are masked may still be there, or may never have been embedded.
        encoded: Vectors that the encoder gave without masked content.
        visible: Which tokens were encoded, where not all were.
    """

    masked: Tensor
    tokens: Tokens
    encoded: Tensor
    visible: Visible | None = None


class PatchObjective(Objective):
    """Loss of the predicted contents of masked patches. Absent channels, padding or bad, are not scored.

    Windows of one batch may lack different channels. A window with fewer tokens masks fewer of them: its list of masked
    tokens is filled up with tokens of absent channels, which nothing sees and no loss counts.

    Where learned weights made the signal (``target_signal``), they could write the target of one channel into another:
    all channels of a patch are masked together then.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.
        tokenizer: Frozen ``Tokenizer`` for the target ``codes``, see ``eegfm.objectives.patches.targets.codes``.
        labels: See the base class.

    Raises:
        ConfigError: The encoder cannot do what is asked, its tokens know of masked patches, the ratio masks none or all
            tokens of a window, or a target does not fit the data, or lacks its tokenizer.
    """

    def __init__(
        self,
        config: PatchObjectiveConfig,
        backbone: Backbone,
        tokenizer: nn.Module | None = None,
        *,
        labels: Labels = NO_LABELS,
    ) -> None:
        super().__init__(config, backbone, labels=labels)
        self.config = config
        encoder = backbone.encoder
        if backbone.leaks:
            logger.warning("masked patches leak into every token, as allowed: %s", listed_choices(backbone.leaks))
        self.masks = MaskDrawer(
            config.mask,
            config.mask_ratio,
            encoder.patch_samples,
            encoder.channels_per_token,
        )
        self._source = Source(backbone, config.of, config.high_hz, tokenizer)
        self.targets = nn.ModuleDict({target.label: target.build(self._source) for target in config.target})
        self.n_values = sum(target.n_outputs for target in self._targets)
        self.grids = TokenGrids(backbone)
        self.grids.check(self.masks, whole_patches=mixes_channels(config.mask, backbone))
        _check_sight(config, self.masks, self.grids, backbone)

    def setup(self, batches: Iterable[StoredBatch], context: Context) -> None:
        """Estimate the statistics of targets: means, standard deviations, how often codes occur; samples need none."""
        targets = [target for target in self._targets if target.needs_statistics]
        for batch in batches if targets else ():
            asked = Asked.of(self._source, batch, self.backbone.prepare(batch), context.stage)
            for target in targets:
                target.observe(asked)
        for target in targets:
            target.finish()

    @property
    def _targets(self) -> list[Target]:
        return [cast(Target, target) for target in self.targets.values()]

    def grid(self, batch: WindowBatch, n_rows: int, n_patches: int) -> tuple[Rows, Grid]:
        """Find the rows of tokens that masks are drawn of."""
        return self.grids.of(batch, n_rows, n_patches, whole_patches="target_signal" in batch)

    @abstractmethod
    def mask(self, batch: WindowBatch, context: Context) -> Masking:
        """Choose the tokens to mask, and encode without their content."""

    @abstractmethod
    def predict(self, masking: Masking, index: Tensor) -> Tensor:
        """(B, M, K) predictions of the tokens (B, M), of all targets one after another."""

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss; see the base class.

        Logs hold ``loss``, ``baseline_loss``, that of what is best without looking at the window, and
        ``visible_mean_loss``, that of predicting the mean of the window's visible patches. All three are sums over
        targets and over masked and visible patches with the same weights. With several targets, each has its own three
        behind its name, as ``signal_loss``.
        """
        windows = self.windows(batch, context)
        masking = self.mask(windows, context)
        asked = self._asked(batch, windows, context)
        mask = token_group_mask(self.encoder, windows, masking.tokens.n_patches)
        everything = [target(asked) for target in self._targets]
        scores = self._scores(masking, masking.masked, everything, mask)
        visible = others(masking.masked, everything[0].shape[1])
        if self.config.visible_weight and visible.shape[1]:
            of_visible = self._scores(masking, visible, everything, mask)
            both = zip(scores, of_visible, strict=True)
            scores = [one.plus(self.config.visible_weight, other) for one, other in both]
        return self._summed(scores, masking)

    def _scores(
        self, masking: Masking, index: Tensor, everything: Sequence[Tensor], mask: Tensor | None
    ) -> list[Scores]:
        """Scores of each target on the tokens (B, M)."""
        place = Place(index, masking.masked, mask)
        asked = zip(self._targets, self._outputs(masking, index), everything, strict=True)
        return [target.scores(self.config.loss, outputs, values, place) for target, outputs, values in asked]

    def _outputs(self, masking: Masking, index: Tensor) -> Sequence[Tensor]:
        """(B, M, K) predictions of each target."""
        sizes = [target.n_outputs for target in self._targets]
        return torch.split(self.predict(masking, index).float(), sizes, dim=-1)

    def _summed(self, scores: Sequence[Scores], masking: Masking) -> LossOutput:
        """Weighted sum over targets, and the logs."""
        weighted = [own.times(target.weight) for own, target in zip(scores, self.config.target, strict=True)]
        total = Scores(*(sum(parts[1:], start=parts[0]) for parts in zip(*weighted, strict=True)))
        logs: dict[str, Tensor] = {}
        if len(scores) > 1:
            for target, own in zip(self.config.target, scores, strict=True):
                logs |= {f"{target.label}_{name}": value for name, value in own._asdict().items()}
        if self.config.query_specialization:
            likeness = query_likeness(self.encoder.query_attention(masking.tokens))
            logs["query_specialization"] = likeness
            added = self.config.query_specialization * likeness
            total = Scores(*(part + added for part in total))  # all three, so that r2 stays that of the predictions
        logs = {**total._asdict(), **logs}
        return LossOutput(total.loss, {name: value.detach() for name, value in logs.items()})

    def _asked(self, batch: StoredBatch, shown: WindowBatch, context: Context) -> Asked:
        """Windows that targets are computed from."""
        is_shown = not len(self.augmentations.members) or self.config.target_from == "shown"
        windows = shown if is_shown else self.backbone.prepare(batch)
        return Asked.of(self._source, batch, windows, context.stage)

    @torch.no_grad()
    def reconstruct(self, batch: StoredBatch, context: Context) -> Reconstruction | None:
        """Show the first target that can be shown, in physical units; see ``Reconstructs``."""
        windows = self.windows(batch, context)
        masking = self.mask(windows, context)
        asked = self._asked(batch, windows, context)
        N, (B, C, _) = asked.patches.shape[1], windows["signal"].shape
        everywhere = torch.arange(N, device=asked.patches.device).expand(B, -1)
        for target, outputs in zip(self._targets, self._outputs(masking, everywhere), strict=True):
            values: Tensor = target(asked)
            true = target.physical(values)
            if true is None:  # a class, which is no picture; its outputs have another shape
                continue
            prediction = target.physical(outputs.reshape(values.shape))
            assert prediction is not None, "as the true values"
            is_masked = Visible(masking.masked).mask(N)[..., None, None].expand(*values.shape[:3], 1)
            return {
                "signal_uv": windows["signal_uv"].detach(),
                "mask": self._by_channel(is_masked, C)[..., 0] & windows["channel_mask"].unsqueeze(-1),
                "target": self._by_channel(true, C),
                "prediction": self._by_channel(prediction, C),
                "unit": target.unit,
                "frequencies_hz": list(target.frequencies_hz),
            }
        return None

    def _by_channel(self, values: Tensor, n_channels: int) -> Tensor:
        """(B, N, G, K) values of tokens as (B, C, P, K)."""
        B, N, G, K = values.shape
        n_rows = -(-n_channels // G)
        by_row = values.reshape(B, n_rows, N // n_rows, G, K).transpose(2, 3)
        return by_row.reshape(B, n_rows * G, -1, K)[:, :n_channels]


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
        config.check_sight(encoder.sight, encoder.name, why, **visible, instead=instead)
