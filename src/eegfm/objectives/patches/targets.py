"""Targets of masked patches: log spectra or samples, of microvolts or of the normalized signal.

Shapes: B windows, C channels, R rows of G channels, P patches per row, N = R * P tokens, K values of one channel.
"""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from eegfm.batch import WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.inference.backbone import Backbone
from eegfm.nn.spectrum import log_power_spectrum, spectrum_frequencies_hz
from eegfm.normalizations.config import TYPICAL_UV

_SIGNAL_CLIP = 15.0  # in units of the scale: a target beyond it is an artefact
_UNITS = {
    ("signal", "microvolts"): "uV",
    ("signal", "normalized"): "1",
    ("log_spectrum", "microvolts"): "log10 uV²/Hz",
    ("log_spectrum", "normalized"): "log10 1/Hz",
}
_LEAST_SD = 1e-3


class PatchTargets(nn.Module):
    """Log spectra, each frequency standardised over training windows, or samples over a scale.

    Where learned weights made the signal (``target_signal``), targets are of what they do not reach. Samples of the
    normalized signal are what they are; microvolts are divided by the scale of the normalization.

    Args:
        kind: ``log_spectrum`` or ``signal``.
        of: ``microvolts`` or ``normalized``.
        high_hz: Highest frequency of the spectrum.
        backbone: Its patches are asked for.

    Raises:
        ConfigError: ``high_hz`` reaches half the rate.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self,
        kind: Literal["log_spectrum", "signal"],
        of: Literal["microvolts", "normalized"],
        high_hz: float,
        backbone: Backbone,
    ) -> None:
        super().__init__()
        encoder = backbone.encoder
        self.kind, self.of, self.high_hz, self.rate_hz = kind, of, high_hz, encoder.rate_hz
        self.scale = backbone.normalization.config.objective_scale_uv if of == "microvolts" else 1.0
        self.frequencies_hz: list[float] = []
        if kind == "log_spectrum":
            self.frequencies_hz = spectrum_frequencies_hz(encoder.patch_samples, encoder.rate_hz, high_hz)
        self.n_values = len(self.frequencies_hz) or encoder.patch_samples
        self.unit = _UNITS[kind, of]
        self.register_buffer("mean", torch.zeros(len(self.frequencies_hz)))
        self.register_buffer("sd", torch.ones(len(self.frequencies_hz)))

    @torch.no_grad()
    def fit(self, backbone: Backbone, batches: Iterable[WindowBatch]) -> None:
        """Estimate mean and standard deviation of each frequency, each batch counted by its windows.

        Channels that are only padding are left out. Samples need no statistics.
        """
        if self.kind == "signal":
            return
        n_windows, total, total_square = 0, torch.zeros(()), torch.zeros(())
        for batch in batches:
            spectra = self._log_spectrum(self._real_patches(backbone, batch))
            # An Apple GPU knows no float64.
            spectra = (spectra.cpu() if spectra.device.type == "mps" else spectra).double()
            size = len(batch["signal"])
            n_windows += size
            total = total + size * spectra.mean(dim=0).cpu()
            total_square = total_square + size * spectra.square().mean(dim=0).cpu()
        assert n_windows, "statistics need at least one batch"
        mean = total / n_windows
        sd = (total_square / n_windows - mean.square()).clamp_min(_LEAST_SD**2).sqrt()
        self.mean.copy_(mean)
        self.sd.copy_(sd)

    def forward(self, patches: Tensor) -> Tensor:
        """(..., patch) of ``asked_patches`` to (..., K) what is asked for."""
        if self.kind == "signal":
            return (patches / self.scale).clamp(-_SIGNAL_CLIP, _SIGNAL_CLIP)
        return (self._log_spectrum(patches) - self.mean) / self.sd

    def physical(self, values: Tensor) -> Tensor:
        """Undo the normalization of (..., K) targets: into ``unit``."""
        return values * self.scale if self.kind == "signal" else values * self.sd + self.mean

    def asked_patches(self, backbone: Backbone, batch: WindowBatch) -> Tensor:
        """(B, N, G, patch) samples that are asked for: microvolts, or the normalized signal."""
        signal = batch.get("target_signal", batch["signal_uv"])
        if self.of == "normalized":
            is_learned = "target_signal" in batch
            signal = backbone.normalization.normalized(signal, batch["channel_mask"]) if is_learned else batch["signal"]
        asked: WindowBatch = {**batch, "signal": signal}
        return backbone.encoder.token_patches(asked)

    def _log_spectrum(self, patches: Tensor) -> Tensor:
        if self.of == "microvolts":
            return log_power_spectrum(patches, self.rate_hz, self.high_hz)
        # The floor of the spectrum is one for microvolts; it would hide high frequencies of a signal of unit variance.
        return log_power_spectrum(patches * TYPICAL_UV, self.rate_hz, self.high_hz) - 2 * math.log10(TYPICAL_UV)

    def _real_patches(self, backbone: Backbone, batch: WindowBatch) -> Tensor:
        """(patches, patch) samples of all real channels."""
        patches = self.asked_patches(backbone, batch)
        mask = token_group_mask(backbone.encoder, batch, batch["signal"].shape[2] // backbone.encoder.patch_samples)
        if mask is None:
            return patches.flatten(0, 2)
        return patches[mask.expand(len(patches), -1, -1)]


def token_group_mask(encoder: Encoder, batch: WindowBatch, n_patches: int) -> Tensor | None:
    """(B, N, G) bool, False for the channels of a token that are only padding; None where none is."""
    mask = encoder.group_mask(batch)
    return None if mask is None else mask.repeat_interleave(n_patches, dim=1)
