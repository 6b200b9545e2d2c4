"""LaBraM's tokenizer: one of K codes per patch, trained to reconstruct the patch's Fourier spectrum.

Shapes: B windows, N tokens, S samples of a patch, D width, d width of a code.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.labram.config import LabramConfig
from eegfm.encoders.labram.model import Labram
from eegfm.encoders.labram.places import LabramPlaces
from eegfm.encoders.labram.quantizer import Quantizer, mean_of_windows
from eegfm.encoders.labram.tokenizer_config import LabramTokenizerConfig
from eegfm.encoders.labram.transformer import LabramTransformer, initialise_linear
from eegfm.encoders.tokens import Tokens
from eegfm.nn.context import Context, WindowDraws

_LEAST_SD = 1e-6  # of a flat window, which has no spectrum


class Spectra(NamedTuple):
    """Fourier spectra of patches, standardised over the window.

    Args:
        amplitude: (B, N, S) at each of S frequencies.
        phase: (B, N, S).
    """

    amplitude: Tensor
    phase: Tensor


class TokenizerOutput(NamedTuple):
    """Result of a tokenizer on one batch.

    Args:
        loss: The losses together.
        logs: Detached: ``loss`` and its parts ``amplitude_loss``, ``phase_loss`` and ``commitment_loss``.
        code_counts: (K,) number of real patches that each code is given.
        target: Spectra of the patches.
        predicted: Spectra that follow from the codes.
    """

    loss: Tensor
    logs: dict[str, Tensor]
    code_counts: Tensor
    target: Spectra
    predicted: Spectra


class LabramTokenizer(nn.Module):
    """Vector-quantised neural spectrum prediction (VQ-NSP; ICLR 2024, arXiv 2405.18765, section 2.3).

    It holds what stands behind the encoder: codebook and decoder. The encoder's vectors are given to it. To use it as a
    target, put it into evaluation mode: ``codes`` changes nothing in it.

    Args:
        config: Choices.
        encoder: The encoder that it stands behind, and whose shape the decoder has. It is not kept.
        spec: Specification of what the encoder receives.

    Raises:
        ConfigError: The decoder does not fit the data.
    """

    def __init__(self, config: LabramTokenizerConfig, encoder: Labram, spec: SignalSpec) -> None:
        super().__init__()
        self.to_code = _two_layers(encoder.d_model, config.d_code)
        self.quantizer = Quantizer(config.n_codes, config.d_code, config.decay, config.least_use)
        self.decoder = SpectrumDecoder(config, encoder.config, spec)

    @torch.no_grad()
    def codes(self, encoded: Tensor) -> Tensor:
        """Codes (B, N) int64 below K of encoded tokens (B, N, D); those of padding mean nothing.

        Raises:
            CheckpointError: There is no codebook yet.
        """
        return self.quantizer.nearest(self.vectors(encoded))

    def forward(
        self,
        encoder: Labram,
        batch: WindowBatch,
        tokens: Tokens,
        encoded: Tensor,
        draws: WindowDraws | None = None,
    ) -> TokenizerOutput:
        """Compute the loss; while training, remember which codes were taken, for ``follow``.

        Args:
            encoder: Cuts windows into patches.
            batch: Windows.
            tokens: Of these windows.
            encoded: (B, N, D) vectors of the tokens.
            draws: Choose where codes may be placed anew, see ``Quantizer.forward``.

        Raises:
            CheckpointError: There is no codebook yet.
        """
        mask = tokens.key_mask
        quantized = self.quantizer(self.vectors(encoded), mask, draws)
        predicted: Spectra = self.decoder(quantized.vectors, batch, tokens)
        target = spectra_of(encoder, batch, mask)
        losses = {
            "amplitude_loss": mean_square(predicted.amplitude.to(target.amplitude.dtype) - target.amplitude, mask),
            "phase_loss": mean_square(predicted.phase.to(target.phase.dtype) - target.phase, mask),
            "commitment_loss": quantized.commitment_loss,
        }
        loss = torch.stack([*losses.values()]).sum()
        logs = {name: value.detach() for name, value in {"loss": loss, **losses}.items()}
        return TokenizerOutput(loss, logs, quantized.counts, target, predicted)

    def vectors(self, encoded: Tensor) -> Tensor:
        """(B, N, D) encoded tokens to (B, N, d), what is quantised."""
        # Which code is nearest is decided by small differences.
        with torch.autocast(encoded.device.type, enabled=False):
            vectors: Tensor = self.to_code(encoded.to(self.quantizer.codebook.dtype))
        return vectors

    @torch.no_grad()
    def place_codes(self, encoded: Iterable[tuple[Tensor, Tensor | None]], generator: Generator) -> None:
        """Place the codes by k-means over the tokens of first windows.

        Args:
            encoded: Of each batch, encoded tokens (B, N, D), and (B, N) bool, False for those of padding, or None where
                all are real; the same on every rank.
            generator: Source of random choices.
        """
        found = ((self.vectors(vectors), mask) for vectors, mask in encoded)
        real = [vectors.flatten(0, 1) if mask is None else vectors[mask] for vectors, mask in found]
        self.quantizer.place_codes(torch.cat(real), generator)

    @torch.no_grad()
    def begin_at(self, mean: Spectra) -> None:
        """Have the decoder begin at a spectrum (S,), whatever the codes: that of the mean patch.

        Otherwise all tokens share one large gradient at first, towards the mean spectrum. It reaches the encoder
        through the codes, turns all vectors into one direction within ten steps, and one code is left.
        """
        for network, values in zip((self.decoder.amplitude, self.decoder.phase), mean, strict=True):
            last = network[-1]
            assert isinstance(last, nn.Linear), "a network ends in a linear map"
            last.bias.copy_(values)

    def follow(self, context: Context) -> None:
        """Move the codebook after an optimizer step."""
        self.quantizer.follow(context)


@torch.no_grad()
def spectra_of(encoder: Labram, batch: WindowBatch, mask: Tensor | None) -> Spectra:
    """Amplitude and phase of each patch at each Fourier frequency, standardised over the window.

    All S frequencies as published, although those above half the rate repeat those below.

    Args:
        encoder: Cuts windows into patches.
        batch: Windows; their microvolts are looked at, those that no learned weight reaches.
        mask: (B, N) bool, False for tokens of padding; None where all are real.
    """
    asked: WindowBatch = {**batch, "signal": batch.get("target_signal", batch["signal_uv"])}
    patches = encoder.token_patches(asked).squeeze(2)  # of microvolts; a scale would cancel out
    with torch.autocast(patches.device.type, enabled=False):
        spectrum = torch.fft.fft(patches, dim=-1)
        # The phase of a negative number is pi, whatever the sign of its imaginary zero.
        imaginary = spectrum.imag.masked_fill(spectrum.imag == 0, 0.0)
        amplitude, phase = spectrum.abs(), torch.atan2(imaginary, spectrum.real)
    return Spectra(_standardised(amplitude, mask), _standardised(phase, mask))


class SpectrumDecoder(nn.Module):
    """From codes to the spectra of their patches: a LaBraM transformer of its own, then two small networks.

    Args:
        config: Choices.
        shape: Those of the encoder, whose shape it has.
        spec: Specification of the data.
    """

    def __init__(self, config: LabramTokenizerConfig, shape: LabramConfig, spec: SignalSpec) -> None:
        super().__init__()
        D, S = shape.d_model, shape.patch_samples
        self.enter = nn.Linear(config.d_code, D)
        self.places = LabramPlaces(shape, spec)
        self.transformer = LabramTransformer(shape, config.n_decoder_layers)
        self.amplitude = _two_layers(D, S)
        self.phase = _two_layers(D, S)

    def forward(self, vectors: Tensor, batch: WindowBatch, tokens: Tokens) -> Spectra:
        """Predict spectra from the vectors (B, N, d) of codes."""
        x = self.enter(vectors) + self.places(batch, tokens.n_patches)
        decoded = self.transformer(x, self.places.of_cls, tokens.key_mask)[:, 1:]
        return Spectra(self.amplitude(decoded), self.phase(decoded))


def _two_layers(d_model: int, n_values: int) -> nn.Sequential:
    network = nn.Sequential(nn.Linear(d_model, d_model), nn.Tanh(), nn.Linear(d_model, n_values))
    return network.apply(initialise_linear)


def _standardised(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, N, S) values less their mean, over their standard deviation, both over a window's real tokens."""
    weight = _weight(values, mask)
    n = (weight.sum(dim=(1, 2), keepdim=True) * values.shape[2]).clamp_min(2)
    centred = values - (values * weight).sum(dim=(1, 2), keepdim=True) / n
    variance = (centred.square() * weight).sum(dim=(1, 2), keepdim=True) / (n - 1)
    return centred / variance.sqrt().clamp_min(_LEAST_SD)


def mean_square(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean square of (B, N, S) values over real tokens of each window, then over windows."""
    return mean_of_windows(values.square().mean(dim=-1), _weight(values, mask).squeeze(-1))


def _weight(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, N, 1) 1 for real tokens, 0 for those of padding."""
    return torch.ones_like(values[..., :1]) if mask is None else mask.unsqueeze(-1).to(values.dtype)
