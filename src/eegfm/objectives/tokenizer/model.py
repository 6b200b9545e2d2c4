"""Objective of the tokenizer: codes of patches, and a decoder of their spectra.

Shapes: B windows, C channels, P patches per channel, N = C * P tokens, S samples of a patch, F frequencies up to half
the rate.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch
from eegfm.encoders.labram.model import Labram
from eegfm.encoders.labram.tokenizer import LabramTokenizer, Spectra, TokenizerOutput, mean_square, spectra_of
from eegfm.inference.backbone import Backbone, Change
from eegfm.nn.context import CODES, NEW_CODES, Context
from eegfm.objectives.base import LossOutput, Objective, Reconstruction
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.objectives.tokenizer.config import TokenizerConfig


class Tokenizer(Objective):
    """Train LaBraM's tokenizer (ICLR 2024, arXiv 2405.18765, section 2.3).

    Before the first step, codes are placed by k-means, and the decoder is set to the mean spectrum. Codes follow after
    every step. Spectra are those of the windows that the encoder is shown.

    Args:
        config: Choices.
        backbone: Encoder of the tokenizer, and everything before it.
        labels: See the base class.

    Raises:
        ConfigError: The encoder is not LaBraM's.
    """

    amplitude_mean: Tensor
    phase_mean: Tensor

    def __init__(self, config: TokenizerConfig, backbone: Backbone, *, labels: Labels = NO_LABELS) -> None:
        super().__init__(config, backbone, labels=labels)
        self.config = config
        self.code_counts: Tensor | None = None
        self.tokenizer = LabramTokenizer(config, self.encoder, backbone.encoder_spec)
        for name in ("amplitude_mean", "phase_mean"):
            self.register_buffer(name, torch.zeros(self.encoder.patch_samples))

    @property
    def encoder(self) -> Labram:
        """The encoder that is trained."""
        encoder = self.backbone.encoder
        assert isinstance(encoder, Labram), "others are refused"
        return encoder

    @property
    def moved_parts(self) -> list[nn.Module]:
        """See the base class."""
        return [self.tokenizer.quantizer]

    @torch.no_grad()
    def setup(self, batches: Iterable[StoredBatch], context: Context) -> None:
        """Place the codes by k-means over the tokens of first windows; set the decoder to their mean spectrum."""
        is_training = self.training
        self.eval()  # what k-means sees must not depend on draws of dropout, which each rank makes
        means = SpectrumMeans(self.encoder.patch_samples)

        def encoded() -> Iterator[tuple[Tensor, Tensor | None]]:
            for batch in batches:
                windows = self.windows(batch, context)
                tokens = self.encoder.tokenize(windows)
                means.add(spectra_of(self.encoder, windows, tokens.key_mask), tokens.key_mask)
                yield self.encoder.encode(tokens), tokens.key_mask

        self.tokenizer.place_codes(encoded(), context.generator(CODES, *context.corpora[:1]))
        for buffer, values in zip((self.amplitude_mean, self.phase_mean), means.take(), strict=True):
            buffer.copy_(values)
        self.tokenizer.begin_at(Spectra(self.amplitude_mean, self.phase_mean))
        self.train(is_training)

    def compute(self, batch: StoredBatch, context: Context) -> LossOutput:
        """Compute the loss; see the base class.

        Logs hold ``loss`` and its parts ``amplitude_loss``, ``phase_loss`` and ``commitment_loss``; ``baseline_loss``,
        that of predicting the mean spectrum; while training, ``perplexity`` of the codes that training has taken
        lately.
        """
        windows = self.windows(batch, context)
        tokens = self.encoder.tokenize(windows)
        encoded = self.encoder.encode_with_features(windows, tokens)
        draws = None
        if self.training:
            draws = context.window_draws(NEW_CODES, windows["corpus"], len(windows["signal"]))
        found: TokenizerOutput = self.tokenizer(self.encoder, windows, tokens, encoded.vectors, draws)
        mask = tokens.key_mask
        baseline = torch.stack([
            mean_square(found.target.amplitude - self.amplitude_mean, mask),
            mean_square(found.target.phase - self.phase_mean, mask),
        ]).sum()  # fmt: skip
        logs = {**found.logs, "baseline_loss": baseline}
        if self.training:
            logs["perplexity"] = self.tokenizer.quantizer.perplexity
        self.code_counts = found.code_counts
        return LossOutput(found.loss, logs, encoded)

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
        self.tokenizer.follow(context)

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


class SpectrumMeans:
    """Mean spectrum over batches, each of which counts by its windows.

    Args:
        n_values: Values S of a spectrum.
    """

    def __init__(self, n_values: int) -> None:
        self._sums, self._n_windows = torch.zeros(2, n_values, dtype=torch.float64), 0

    def add(self, spectra: Spectra, mask: Tensor | None) -> None:
        """Count a batch of spectra (B, N, S), without tokens of padding, (B, N) False."""
        values = torch.stack(spectra)
        weight = torch.ones_like(values[0, ..., :1]) if mask is None else mask.unsqueeze(-1).to(values.dtype)
        mean = (values * weight).sum(dim=(1, 2)) / weight.sum().clamp_min(1)
        self._sums += len(values[0]) * mean.cpu().double()
        self._n_windows += len(values[0])

    def take(self) -> Tensor:
        """(2, S) means of amplitude and of phase."""
        return self._sums / self._n_windows
