"""Joint-embedding prediction: an encoder sees some patches, a predictor says what it would make of the others.

Shapes: B windows, R rows, P patches per row, N = R * P tokens, S sites (N tokens or P patches), M hidden sites, D
width.
"""

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.encoders.base import Encoded
from eegfm.encoders.tokens import Tokens, take
from eegfm.inference.backbone import Backbone
from eegfm.nn.context import MASKS, Context
from eegfm.nn.electrode_embedding import ElectrodeEmbedding, embedded_channels
from eegfm.objectives.base import LossOutput
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.jepa.config import JepaConfig
from eegfm.objectives.jepa.hiding import Hiding, hidden_patches, hidden_tokens
from eegfm.objectives.latent.objective import LatentObjective, normalized_vectors
from eegfm.objectives.latent.spread import regularization
from eegfm.objectives.patches.grids import mixes_channels
from eegfm.objectives.patches.mae_decoder import CrossDecoder
from eegfm.objectives.patches.masks.draw import MaskDrawer

_N_POSITION_FREQUENCIES = 4


class Jepa(LatentObjective):
    """Predict the vectors of hidden sites.

    Encoders that can leave tokens out see visible ones only; for others, a learned token takes the place of what is
    hidden, and the predictor gets the vectors of visible sites only. It knows hidden sites by the place of their
    channel on the scalp and the number of their patch: places that an encoder gives to tokens need not tell channels
    apart.

    Args:
        config: Choices.
        backbone: The encoder to train, and everything before it.
        labels: See the base class.

    Raises:
        ConfigError: See the base class; or the mask leaves channels visible that an adapter mixes with hidden ones.
    """

    def __init__(self, config: JepaConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__(config, backbone, has_teacher=config.teacher == "ema", labels=labels)
        self.config: JepaConfig = config
        encoder, W = backbone.encoder, config.predictor_width
        self.masks = MaskDrawer(config.mask, config.mask_ratio, encoder.patch_samples, encoder.channels_per_token)
        mixes = mixes_channels(config.mask, backbone)
        self.grids.check(self.masks, whole_patches=mixes or not self.is_of_tokens)
        self.leaves_out = encoder.traits.supports_visible
        self.mask_token = None if self.leaves_out else nn.Parameter(0.02 * torch.randn(encoder.d_token))
        self.places = ElectrodeEmbedding(_N_POSITION_FREQUENCIES, W) if self.is_of_tokens else None
        self.predictor = CrossDecoder(
            W,
            config.predictor_layers,
            d_model=encoder.d_model,
            d_token=W if self.is_of_tokens else None,
            n_values=encoder.d_model,
        )

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss; see the base class.

        Logs hold ``loss`` and those of ``LatentObjective.score``. With regularization, they hold ``prediction_loss``
        and the terms of it, and no ``baseline_loss``, which says nothing of the sum.
        """
        windows = self.windows(batch, context)
        hiding = self._draw(windows, context)
        seen = self._see(windows, hiding)
        prediction = self.predictor(seen, self._sites(windows, seen), hiding.seen, hiding.asked)
        whole, own = self._whole(batch, windows)
        target = normalized_vectors(take(whole, hiding.asked))
        loss, logs = self.score(prediction, target, hiding.scored, context)
        looked_at = [take(seen, hiding.some_seen)]
        if self.teacher is None:
            looked_at.append(take(whole, hiding.some_asked))
        if self.config.needs_whole_batch:
            logs["prediction_loss"] = loss.detach()
            del logs["baseline_loss"]
            loss, terms = self._regularized(loss, looked_at, context, batch["corpus"])
            logs |= terms
        logs["loss"] = loss.detach()
        return LossOutput(loss, logs, own)

    def _draw(self, windows: WindowBatch, context: Context) -> Hiding:
        """Draw what is hidden."""
        n_rows, n_patches = self._shape(windows)
        draws = context.window_draws(MASKS, windows["corpus"], len(windows["signal"]))
        whole_patches = "target_signal" in windows or not self.is_of_tokens
        rows, grid = self.grids.of(windows, n_rows, n_patches, whole_patches=whole_patches)
        if self.is_of_tokens:
            present = self.present_tokens(windows, n_patches)
            hiding = hidden_tokens(self.masks, rows, grid, draws, n_rows * n_patches, present)
        else:
            hiding = hidden_patches(self.masks, grid, draws)
        return hiding.sent(windows["signal"].device)

    def _see(self, windows: WindowBatch, hiding: Hiding) -> Tensor:
        """(B, Nv, D) vectors of what is visible."""
        if self.mask_token is None:
            assert hiding.visible is not None, "encoders that leave tokens out give vectors of tokens"
            tokens = self.encoder.tokenize_visible(windows, hiding.visible)
            return self.encoder.encode(tokens, hiding.visible)
        tokens = self.encoder.tokenize(windows)
        hidden = hiding.asked
        if not self.is_of_tokens:
            first = tokens.n_patches * torch.arange(tokens.n_rows, device=hidden.device)
            hidden = (first.unsqueeze(-1) + hidden.unsqueeze(1)).flatten(1)
        replaced = tokens.with_content_at(hidden, self.mask_token)
        return take(self.encoder.encode(replaced), hiding.seen)

    def _whole(self, batch: StoredBatch, windows: WindowBatch) -> tuple[Tensor, Encoded | None]:
        """(B, S, D) vectors of the whole, untouched windows, and all that the trained encoder gave, for heads.

        Heads learn from windows as they are shown. Where augmentations change those, and with a teacher, there is None.
        """
        if self.teacher is not None:
            return self.teacher(batch), None
        is_untouched = not len(self.augmentations.members)
        own = self.encoder.encode_with_features(windows if is_untouched else self.backbone.prepare(batch))
        return own.vectors, own if is_untouched else None

    def _sites(self, windows: WindowBatch, vectors: Tensor) -> Tokens:
        """Places of all sites, for the predictor."""
        n_rows, n_patches = self._shape(windows)
        if self.places is None:
            return Tokens(vectors, vectors.new_zeros(1, n_patches, 1), 1, n_patches)
        position = embedded_channels(self.places, windows).repeat_interleave(n_patches, dim=1)
        return Tokens(vectors, position, n_rows, n_patches, self.encoder.key_mask(windows, n_patches))

    def _shape(self, windows: WindowBatch) -> tuple[int, int]:
        """Rows and patches of the windows."""
        _, n_channels, n_samples = windows["signal"].shape
        return -(-n_channels // self.encoder.channels_per_token), n_samples // self.encoder.patch_samples

    def _regularized(
        self, loss: Tensor, looked_at: list[Tensor], context: Context, corpus: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Add what keeps vectors spread out, the mean over both ways of seeing the window."""
        found = [regularization(self.config.regularization, vectors, context, corpus) for vectors in looked_at]
        total = loss + torch.stack([penalty for penalty, _ in found]).mean()
        terms = {name: torch.stack([each[name] for _, each in found]).mean() for name in found[0][1]}
        return total, terms
