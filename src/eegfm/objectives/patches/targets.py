"""Targets of masked patches: log spectra or samples.

Shapes: B windows, C channels, R rows of G channels, P patches per row, N = R * P tokens, K values of one channel.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.nn.spectrum import log_power_spectrum, spectrum_frequencies_hz

_SIGNAL_CLIP = 15.0  # in units of the encoder's scale: a target beyond it is an artefact
_LEAST_SD = 1e-3


class PatchTargets(nn.Module):
    """Log spectra, each frequency standardised over training windows, or samples over the encoder's microvolt scale.

    Where learned weights made the signal (``target_signal``), targets are of what they do not reach.

    Args:
        kind: ``log_spectrum`` or ``signal``.
        high_hz: Highest frequency of the spectrum.
        encoder: Whose patches are asked for.
        spec: Specification of the data.

    Raises:
        ConfigError: ``high_hz`` reaches half the rate.
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self, kind: Literal["log_spectrum", "signal"], high_hz: float, encoder: Encoder, spec: SignalSpec
    ) -> None:
        super().__init__()
        self.kind, self.high_hz = kind, high_hz
        self.rate_hz, self.scale_uv = encoder.rate_hz, encoder.signal_scale_uv
        self.frequencies_hz: list[float] = []
        if kind == "log_spectrum":
            self.frequencies_hz = spectrum_frequencies_hz(encoder.patch_samples, spec.rate_hz, high_hz)
        self.n_values = len(self.frequencies_hz) or encoder.patch_samples
        self.unit = "uV" if kind == "signal" else "log10 uV²/Hz"
        self.register_buffer("mean", torch.zeros(len(self.frequencies_hz)))
        self.register_buffer("sd", torch.ones(len(self.frequencies_hz)))

    @torch.no_grad()
    def fit(self, encoder: Encoder, batches: Iterable[WindowBatch]) -> None:
        """Estimate mean and standard deviation of each frequency, each batch counted by its windows.

        Channels that are only padding are left out. Samples need no statistics.
        """
        if self.kind == "signal":
            return
        n_windows, total, total_square = 0, torch.zeros(()), torch.zeros(())
        for batch in batches:
            spectra = self._log_spectrum(_real_patches_uv(encoder, batch)).double()
            size = len(batch["signal"])
            n_windows += size
            total = total + size * spectra.mean(dim=0).cpu()
            total_square = total_square + size * spectra.square().mean(dim=0).cpu()
        assert n_windows, "statistics need at least one batch"
        mean = total / n_windows
        sd = (total_square / n_windows - mean.square()).clamp_min(_LEAST_SD**2).sqrt()
        self.mean.copy_(mean)
        self.sd.copy_(sd)

    def forward(self, patches_uv: Tensor) -> Tensor:
        """(..., patch) microvolts to (..., K) what is asked for."""
        if self.kind == "signal":
            return (patches_uv / self.scale_uv).clamp(-_SIGNAL_CLIP, _SIGNAL_CLIP)
        return (self._log_spectrum(patches_uv) - self.mean) / self.sd

    def physical(self, values: Tensor) -> Tensor:
        """Undo the normalization of (..., K) targets: into ``unit``."""
        return values * self.scale_uv if self.kind == "signal" else values * self.sd + self.mean

    def _log_spectrum(self, patches_uv: Tensor) -> Tensor:
        return log_power_spectrum(patches_uv, self.rate_hz, self.high_hz)


def asked_patches_uv(encoder: Encoder, batch: WindowBatch) -> Tensor:
    """(B, N, G, patch) microvolts that are asked for."""
    asked: WindowBatch = {**batch, "signal": batch.get("target_signal", batch["signal"])}
    return encoder.token_patches(asked)


def token_group_mask(encoder: Encoder, batch: WindowBatch, n_patches: int) -> Tensor | None:
    """(B, N, G) bool, False for the channels of a token that are only padding; None where none is."""
    mask = encoder.group_mask(batch)
    return None if mask is None else mask.repeat_interleave(n_patches, dim=1)


def _real_patches_uv(encoder: Encoder, batch: WindowBatch) -> Tensor:
    """(patches, patch) microvolts of all real channels."""
    patches = asked_patches_uv(encoder, batch)
    mask = token_group_mask(encoder, batch, batch["signal"].shape[2] // encoder.patch_samples)
    if mask is None:
        return patches.flatten(0, 2)
    return patches[mask.expand(len(patches), -1, -1)]
