"""Objective of the tokenizer: codes of patches, and a decoder of their spectra.

Shapes: B windows, C channels, P patches per channel, N = C * P tokens, S samples of a patch, F frequencies up to half
the rate.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.encoders.labram.model import Labram
from eegfm.encoders.labram.tokenizer import LabramTokenizer, TokenizerOutput
from eegfm.inference.backbone import Backbone, Change
from eegfm.nn.context import CODES, Context
from eegfm.objectives.base import LossOutput, Objective, Reconstruction
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.tokenizer.config import TokenizerConfig


class Tokenizer(Objective):
    """Train LaBraM's tokenizer (ICLR 2024, arXiv 2405.18765, section 2.3).

    Codes are placed by k-means before the first step, and follow after every step. Spectra are those of the windows
    that the encoder is shown.

    Args:
        config: Choices.
        backbone: Encoder of the tokenizer, and everything before it.
        labels: See the base class.

    Raises:
        ConfigError: The encoder is not LaBraM's.
    """

    def __init__(self, config: TokenizerConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__(config, backbone, labels=labels)
        self.config = config
        self.tokenizer = LabramTokenizer(config, self.encoder, backbone.encoder_spec)

    @property
    def encoder(self) -> Labram:
        """The encoder that is trained."""
        encoder = self.backbone.encoder
        assert isinstance(encoder, Labram), "others are refused"
        return encoder

    @property
    def encodes_untouched(self) -> bool:
        """See the base class."""
        return not len(self.augmentations.members)

    @property
    def moved_parts(self) -> list[nn.Module]:
        """See the base class."""
        return [self.tokenizer.quantizer]

    @torch.no_grad()
    def setup(self, batches: Iterable[StoredBatch], context: Context) -> None:
        """Place the codes by k-means over the tokens of first windows."""
        is_training = self.training
        self.eval()  # what k-means sees must not depend on draws of dropout, which each rank makes
        encoded = (self._encoded(self.windows(batch, context)) for batch in batches)
        self.tokenizer.place_codes(encoded, context.generator(CODES, *context.corpora[:1]))
        self.train(is_training)

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss; see the base class.

        Logs hold ``loss`` and its parts ``amplitude_loss``, ``phase_loss`` and ``commitment_loss``; ``baseline_loss``,
        that of predicting the mean of the window; ``perplexity`` and ``used_ratio`` of the codes that training has
        taken lately.
        """
        windows = self.windows(batch, context)
        tokens = self.encoder.tokenize(windows)
        encoded = self.encoder.encode_with_features(windows, tokens)
        found: TokenizerOutput = self.tokenizer(self.encoder, windows, tokens, encoded.vectors)
        return LossOutput(found.loss, found.logs, encoded)

    @property
    def n_codes(self) -> int:
        """Number of codes K."""
        return self.config.n_codes

    @torch.no_grad()
    def codes(self, batch: StoredBatch, change: Change | None = None) -> Tensor:
        """(B, N) codes of the windows of a batch, see ``eegfm.objectives.codes``."""
        return self.tokenizer.codes(self.encoder(self.backbone.prepare(batch, change)))

    def after_step(self, context: Context) -> None:
        """Move the codebook."""
        self.tokenizer.follow()

    @torch.no_grad()
    def reconstruct(self, batch: StoredBatch, context: Context) -> Reconstruction:
        """Show amplitudes and what follows from the codes, of all real patches; see ``Reconstructs``."""
        windows = self.windows(batch, context)
        tokens = self.encoder.tokenize(windows)
        found: TokenizerOutput = self.tokenizer(self.encoder, windows, tokens, self.encoder.encode(tokens))
        B, C, _ = windows["signal"].shape
        S = self.encoder.patch_samples
        frequencies_hz = torch.fft.rfftfreq(S, 1 / self.encoder.rate_hz).tolist()

        def by_channel(values: Tensor) -> Tensor:
            return values.float().view(B, C, -1, S)[..., : len(frequencies_hz)]

        target = by_channel(found.target.amplitude)
        return {
            "signal_uv": windows["signal_uv"].detach(),
            "mask": windows["channel_mask"].unsqueeze(-1).expand(target.shape[:3]),
            "target": target,
            "prediction": by_channel(found.predicted.amplitude),
            "unit": "standardized amplitude",
            "frequencies_hz": frequencies_hz,
        }

    def _encoded(self, windows: WindowBatch) -> tuple[Tensor, Tensor | None]:
        tokens = self.encoder.tokenize(windows)
        return self.encoder.encode(tokens), tokens.key_mask
