"""Masked prediction: hide patches behind one learned token and predict what they held.

Shapes: B windows, C channels, R rows of G = C / R channels (G is 1 for most encoders), P patches per row, N = R * P
tokens, M hidden tokens, K target values of one channel.
"""

from collections.abc import Iterable

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import mse_loss

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.encoders.spectrum import log_power_spectrum, spectrum_frequencies_hz
from eegfm.encoders.tokens import Tokens
from eegfm.errors import ConfigError
from eegfm.objectives.base import Objective, Reconstruction
from eegfm.objectives.config import MaskedConfig

_SIGNAL_CLIP = 15.0  # in units of the encoder's scale: a target beyond it is an artefact
_LEAST_SD = 1e-3


class Masked(Objective):
    """Mean squared error of the hidden patches' log spectra or samples.

    A hidden token loses its content and keeps its place. Patches do not overlap, so no visible token holds
    a sample of a hidden one. Channels that are only padding are neither hidden nor scored.

    Where learned weights made the signal (``target_signal``), the prediction is compared with what they do not reach.
    They could also write what one channel is asked for into another: all channels of a patch are hidden together then.

    Args:
        config: Choices.
        encoder: The encoder to train.
        spec: What the data decides.

    Raises:
        ConfigError: The ratio hides none or all tokens of a window, or ``high_hz`` reaches half the rate.
    """

    target_mean: Tensor
    target_sd: Tensor

    def __init__(self, config: MaskedConfig, encoder: Encoder, spec: SignalSpec) -> None:
        super().__init__(encoder)
        self.config = config
        self.frequencies_hz: list[float] = []
        if config.target == "log_spectrum":
            self.frequencies_hz = spectrum_frequencies_hz(encoder.patch_samples, spec.rate_hz, config.high_hz)
        for montage, n_samples in spec.n_samples.items():
            n_rows = spec.montages[montage].n_channels // encoder.channels_per_token
            n_hidden(config.mask_ratio, n_rows * (n_samples // encoder.patch_samples))
        n_values = len(self.frequencies_hz) or encoder.patch_samples
        self.mask_token = nn.Parameter(0.02 * torch.randn(encoder.d_token))
        self.head = encoder.new_decoder(encoder.channels_per_token * n_values)
        n_statistics = len(self.frequencies_hz)
        self.register_buffer("target_mean", torch.zeros(n_statistics))
        self.register_buffer("target_sd", torch.ones(n_statistics))

    @torch.no_grad()
    def fit_statistics(self, batches: Iterable[WindowBatch]) -> None:
        """Estimate mean and standard deviation of each frequency; samples need none."""
        if self.config.target == "signal":
            return
        n_windows, total, total_square = 0, torch.zeros(()), torch.zeros(())
        for batch in batches:
            spectra = self._log_spectrum(self._asked_uv(batch, only_real=True)).double()
            size = len(spectra)
            n_windows += size
            total = total + size * spectra.mean(dim=(0, 1, 2)).cpu()
            total_square = total_square + size * spectra.square().mean(dim=(0, 1, 2)).cpu()
        assert n_windows, "statistics need at least one batch"
        mean = total / n_windows
        sd = (total_square / n_windows - mean.square()).clamp_min(_LEAST_SD**2).sqrt()
        self.target_mean.copy_(mean)
        self.target_sd.copy_(sd)

    def forward(self, batch: WindowBatch, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss; see the base class.

        Logs hold ``loss`` and ``baseline_loss``, that of predicting the training mean everywhere (zero, for
        samples).
        """
        hidden, tokens, encoded = self._encode_hiding(batch, generator)
        asked_uv = self._asked_uv(batch)
        asked_uv = asked_uv.take_along_dim(hidden[..., None, None], dim=1)
        target = self._targets(asked_uv).flatten(2)
        loss = mse_loss(self.head(encoded, tokens, hidden).float(), target)
        return loss, {"loss": loss.detach(), "baseline_loss": target.square().mean()}

    @torch.no_grad()
    def reconstruct(self, batch: WindowBatch, generator: Generator) -> Reconstruction:
        """Show targets and predictions in physical units; see the base class."""
        hidden, tokens, encoded = self._encode_hiding(batch, generator)
        R, P, G = tokens.n_rows, tokens.n_patches, self.encoder.channels_per_token
        B, N, _ = tokens.content.shape
        is_hidden = torch.zeros(B, N, dtype=torch.bool, device=encoded.device).scatter_(1, hidden, True)
        target = self._targets(self._asked_uv(batch))
        everywhere = torch.arange(N, device=encoded.device).expand(B, -1)
        prediction = self.head(encoded, tokens, everywhere).float().view(target.shape)

        def by_channel(values: Tensor) -> Tensor:
            return values.view(B, R, P, G, -1).transpose(2, 3).reshape(B, R * G, P, -1)

        return {
            "signal_uv": batch["signal"].detach(),
            "mask": is_hidden.view(B, R, P).repeat_interleave(G, dim=1),
            "target": by_channel(self._physical(target)),
            "prediction": by_channel(self._physical(prediction)),
            "unit": "uV" if self.config.target == "signal" else "log10 uV²/Hz",
            "frequencies_hz": list(self.frequencies_hz),
        }

    def _encode_hiding(self, batch: WindowBatch, generator: Generator) -> tuple[Tensor, Tokens, Tensor]:
        """Indices (B, M) of the hidden tokens, all tokens, and what came of encoding them without hidden content."""
        tokens = self.encoder.tokenize(batch)
        hidden = self._draw(batch, tokens.n_rows, tokens.n_patches, generator).to(tokens.content.device)
        index = hidden.unsqueeze(-1).expand(-1, -1, tokens.content.shape[-1])
        # Scattering the token in, rather than blending, leaves no path from hidden content to the output.
        token = self.mask_token.to(tokens.content.dtype).expand(index.shape)
        hiding = tokens.with_content(tokens.content.scatter(1, index, token))
        return hidden, hiding, self.encoder.encode(hiding)

    def _draw(self, batch: WindowBatch, n_rows: int, n_patches: int, generator: Generator) -> Tensor:
        """(B, M) tokens to hide, among those of real channels."""
        size, real = len(batch["signal"]), _real_rows(self.encoder, batch)
        n_real = n_rows if real is None else len(real)
        if "target_signal" in batch:
            patches = draw_hidden(size, n_patches, self.config.mask_ratio, generator, what="patches")
            first_tokens = n_patches * torch.arange(n_real, device=patches.device)
            hidden = (first_tokens.unsqueeze(-1) + patches.unsqueeze(1)).flatten(1)
        else:
            hidden = draw_hidden(size, n_real * n_patches, self.config.mask_ratio, generator)
        if real is None:
            return hidden
        return real.to(hidden.device)[hidden // n_patches] * n_patches + hidden % n_patches

    def _asked_uv(self, batch: WindowBatch, *, only_real: bool = False) -> Tensor:
        """(B, N, G, patch) microvolts that are asked for; of real rows only, where so wanted."""
        asked: WindowBatch = {**batch, "signal": batch.get("target_signal", batch["signal"])}
        patches = self.encoder.token_patches(asked)
        real = _real_rows(self.encoder, batch) if only_real else None
        if real is None:
            return patches
        B, _, G, S = patches.shape
        n_patches = batch["signal"].shape[2] // S
        return patches.view(B, -1, n_patches, G, S)[:, real].flatten(1, 2)

    def _targets(self, patches_uv: Tensor) -> Tensor:
        """(..., patch) microvolts to (..., K) what the head predicts."""
        if self.config.target == "signal":
            return (patches_uv / self.encoder.signal_scale_uv).clamp(-_SIGNAL_CLIP, _SIGNAL_CLIP)
        return (self._log_spectrum(patches_uv) - self.target_mean) / self.target_sd

    def _physical(self, values: Tensor) -> Tensor:
        """Undo the normalisation of ``_targets``."""
        if self.config.target == "signal":
            return values * self.encoder.signal_scale_uv
        return values * self.target_sd + self.target_mean

    def _log_spectrum(self, patches_uv: Tensor) -> Tensor:
        return log_power_spectrum(patches_uv, self.encoder.rate_hz, self.config.high_hz)


def n_hidden(mask_ratio: float, n_tokens: int, what: str = "tokens") -> int:
    """How many of a window's tokens (or of ``what`` is counted) are hidden.

    Raises:
        ConfigError: None or all of them.
    """
    n = round(mask_ratio * n_tokens)
    if not 0 < n < n_tokens:
        raise ConfigError(
            f"objective.mask_ratio {mask_ratio:g} hides {n} of {n_tokens} {what}; "
            "some must stay hidden and some visible: change it, or use longer windows"
        )
    return n


def draw_hidden(n_windows: int, n_tokens: int, mask_ratio: float, generator: Generator, what: str = "tokens") -> Tensor:
    """Draw exactly ``round(mask_ratio * N)`` tokens of each window, uniformly without replacement.

    Returns:
        (B, M) int64 token indices, ascending, on the generator's device.

    Raises:
        ConfigError: The ratio hides none or all tokens.
    """
    noise = torch.rand(n_windows, n_tokens, generator=generator, device=generator.device)
    return noise.argsort(dim=1)[:, : n_hidden(mask_ratio, n_tokens, what)].sort(dim=1).values


def _real_rows(encoder: Encoder, batch: WindowBatch) -> Tensor | None:
    """Indices of the rows of tokens that are not padding; None where none is."""
    mask = encoder.row_mask(batch)
    if mask is None:
        return None
    assert torch.equal(mask, mask[:1].expand_as(mask)), "a batch is of one montage: one mask for all its windows"
    return mask[0].nonzero().squeeze(-1)
