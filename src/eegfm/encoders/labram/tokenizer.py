"""LaBraM's tokenizer: one of K codes per patch, trained to reconstruct the patch's Fourier spectrum.

Shapes: B windows, N tokens, S samples of a patch, D width, d width of a code.
"""

from collections.abc import Iterable

import torch
from torch import Generator, Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.labram.model import Labram
from eegfm.encoders.labram.places import LabramPlaces
from eegfm.encoders.labram.quantizer import Quantizer
from eegfm.encoders.labram.tokenizer_config import LabramTokenizerConfig
from eegfm.encoders.labram.transformer import LabramTransformer, initialise_linear
from eegfm.encoders.tokens import Tokens

_LEAST_SD = 1e-6  # of a flat window, which has no spectrum


class LabramTokenizer(nn.Module):
    """Vector-quantised neural spectrum prediction (VQ-NSP; ICLR 2024, arXiv 2405.18765, section 2.3).

    To use it as a target, put it into evaluation mode: ``codes`` changes nothing in it.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: The encoder does not fit the data.
    """

    def __init__(self, config: LabramTokenizerConfig, spec: SignalSpec) -> None:
        super().__init__()
        self.config = config
        self.encoder = Labram(config.encoder, spec)
        D = self.encoder.d_model
        self.to_code = _two_layers(D, config.d_code)
        self.quantizer = Quantizer(config.n_codes, config.d_code, config.decay)
        self.decoder = SpectrumDecoder(config, spec)

    @torch.no_grad()
    def codes(self, batch: WindowBatch) -> Tensor:
        """Code of each token, (B, N) int64 below K; those of padding mean nothing.

        Raises:
            CheckpointError: There is no codebook yet.
        """
        return self.quantizer.nearest(self._vectors(self.encoder.tokenize(batch)))

    def forward(self, batch: WindowBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss; while training, remember which codes were taken, for ``follow``.

        Returns:
            The loss, and logs: ``loss`` and its parts ``amplitude_loss``, ``phase_loss`` (1 for predicting the mean)
            and ``commitment_loss``; the ``perplexity`` of the batch's codes and the ``used_ratio`` of all codes.

        Raises:
            CheckpointError: There is no codebook yet.
        """
        tokens = self.encoder.tokenize(batch)
        mask = tokens.key_mask
        quantized = self.quantizer(self._vectors(tokens), mask)
        predicted = self.decoder(quantized.vectors, batch, tokens)
        losses = {
            f"{name}_loss": _mean_square(predicted[name].to(target.dtype) - target, mask)
            for name, target in self._targets(batch, mask).items()
        }
        losses["commitment_loss"] = quantized.commitment_loss
        loss = torch.stack([*losses.values()]).sum()
        logs = {name: value.detach() for name, value in {"loss": loss, **losses}.items()}
        return loss, logs | {"perplexity": quantized.perplexity, "used_ratio": self.quantizer.used_ratio}

    @torch.no_grad()
    def place_codes(self, batches: Iterable[WindowBatch], generator: Generator) -> None:
        """Place the codes by k-means over the tokens of first windows, which must be the same on every rank."""
        vectors = []
        for batch in batches:
            tokens = self.encoder.tokenize(batch)
            found = self._vectors(tokens)
            present = torch.ones_like(found[..., 0], dtype=torch.bool) if tokens.key_mask is None else tokens.key_mask
            vectors.append(found[present])
        self.quantizer.place_codes(torch.cat(vectors), generator)

    def follow(self) -> None:
        """Move the codebook after an optimizer step."""
        self.quantizer.follow()

    def _vectors(self, tokens: Tokens) -> Tensor:
        """(B, N, d) what is quantised."""
        encoded = self.encoder.encode(tokens)
        # Which code is nearest is decided by small differences.
        with torch.autocast(encoded.device.type, enabled=False):
            vectors: Tensor = self.to_code(encoded.to(self.quantizer.codebook.dtype))
        return vectors

    @torch.no_grad()
    def _targets(self, batch: WindowBatch, mask: Tensor | None) -> dict[str, Tensor]:
        """(B, N, S) amplitude and phase of each patch at each Fourier frequency, standardised over the window.

        All S frequencies as published, although those above half the rate repeat those below.
        """
        asked: WindowBatch = {**batch, "signal": batch.get("target_signal", batch["signal_uv"])}
        patches = self.encoder.token_patches(asked).squeeze(2)  # of microvolts; a scale would cancel out
        with torch.autocast(patches.device.type, enabled=False):
            spectrum = torch.fft.fft(patches, dim=-1)
            # The phase of a negative number is pi, whatever the sign of its imaginary zero.
            imaginary = spectrum.imag.masked_fill(spectrum.imag == 0, 0.0)
            amplitude, phase = spectrum.abs(), torch.atan2(imaginary, spectrum.real)
        return {"amplitude": _standardised(amplitude, mask), "phase": _standardised(phase, mask)}


class SpectrumDecoder(nn.Module):
    """From codes to the spectra of their patches: a LaBraM transformer of its own, then two small networks.

    Args:
        config: Choices.
        spec: Specification of the data.
    """

    def __init__(self, config: LabramTokenizerConfig, spec: SignalSpec) -> None:
        super().__init__()
        D, S = config.encoder.d_model, config.encoder.patch_samples
        self.enter = nn.Linear(config.d_code, D)
        self.places = LabramPlaces(config.encoder, spec)
        self.transformer = LabramTransformer(config.encoder, config.n_decoder_layers)
        self.amplitude = _two_layers(D, S)
        self.phase = _two_layers(D, S)

    def forward(self, vectors: Tensor, batch: WindowBatch, tokens: Tokens) -> dict[str, Tensor]:
        """(B, N, d) codes' vectors to (B, N, S) ``amplitude`` and ``phase``."""
        x = self.enter(vectors) + self.places(batch, tokens.n_patches)
        decoded = self.transformer(x, self.places.of_cls, tokens.key_mask)[:, 1:]
        return {"amplitude": self.amplitude(decoded), "phase": self.phase(decoded)}


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


def _mean_square(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over windows, real tokens and values of (B, N, S)."""
    weight = _weight(values, mask)
    return (values.square() * weight).sum() / (weight.sum() * values.shape[2]).clamp_min(1)


def _weight(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, N, 1) 1 for real tokens, 0 for those of padding."""
    return torch.ones_like(values[..., :1]) if mask is None else mask.unsqueeze(-1).to(values.dtype)
