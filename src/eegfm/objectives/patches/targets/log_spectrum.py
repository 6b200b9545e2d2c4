"""Log power spectrum of a patch as a target, with or without the offsets of window, person or 1/f.

Shapes: see ``eegfm.objectives.patches.targets.base``; K frequencies.
"""

import math

import torch
from torch import Tensor

from eegfm.errors import ConfigError
from eegfm.nn.spectrum import log_power_spectrum, spectrum_frequencies_hz
from eegfm.normalizations.config import TYPICAL_UV
from eegfm.objectives.patches.targets.base import Asked, Source, Standardised
from eegfm.objectives.patches.targets.config import LogSpectrumTarget
from eegfm.objectives.patches.targets.person_means import PersonMeans

_UNITS = {"microvolts": "log10 uV²/Hz", "normalized": "log10 1/Hz"}


class LogSpectrum(Standardised):
    """Log power spectrum of each patch and channel, minus what ``config.minus`` says, standardised by frequency.

    Args:
        config: What is subtracted.
        source: Its patches are asked for.

    Raises:
        ConfigError: ``high_hz`` reaches half the rate, or nothing would be left.
    """

    residual: Tensor

    def __init__(self, config: LogSpectrumTarget, source: Source) -> None:
        encoder = source.backbone.encoder
        frequencies_hz = spectrum_frequencies_hz(encoder.patch_samples, encoder.rate_hz, source.high_hz)
        super().__init__(source, len(frequencies_hz))
        self.frequencies_hz = frequencies_hz
        self.of, self.minus = source.of, config.minus
        self.rate_hz, self.high_hz = encoder.rate_hz, source.high_hz
        self.unit = _UNITS[source.of] + ("" if config.minus == "none" else f" minus {config.minus}")
        self.persons = PersonMeans() if config.minus == "person" else None
        if config.minus == "slope":
            self.register_buffer("residual", _without_line(frequencies_hz), persistent=False)
        if config.minus == "window":
            _refuse_single_patches(source)

    def raw(self, asked: Asked) -> Tensor:
        """(B, N, G, K) log spectra without the offset; see the base class."""
        spectra = self._log_spectrum(asked.patches)
        if self.minus == "slope":
            with torch.autocast(spectra.device.type, enabled=False):
                left: Tensor = spectra @ self.residual
                return left
        if self.minus == "window":
            n_patches = asked.signal.shape[2] // asked.patches.shape[3]
            by_row = spectra.view(len(spectra), -1, n_patches, *spectra.shape[2:])
            return (by_row - by_row.mean(dim=2, keepdim=True)).view_as(spectra)
        if self.persons is not None:
            means: Tensor = self.persons(asked, spectra)
            return spectra - means[:, None, None]
        return spectra

    @torch.no_grad()
    def observe(self, asked: Asked) -> None:
        """See the base class; persons need all of their windows first."""
        if self.persons is None:
            super().observe(asked)
        else:
            self.persons.observe(asked, self._log_spectrum(asked.patches))

    def finish(self) -> None:
        """See the base class."""
        if self.persons is None:
            super().finish()
        else:
            self.set_statistics(*self.persons.finish(self.mean.device))

    def _log_spectrum(self, patches: Tensor) -> Tensor:
        if self.of == "microvolts":
            return log_power_spectrum(patches, self.rate_hz, self.high_hz)
        # The floor of the spectrum is one for microvolts; it would hide high frequencies of a signal of unit variance.
        return log_power_spectrum(patches * TYPICAL_UV, self.rate_hz, self.high_hz) - 2 * math.log10(TYPICAL_UV)


def _without_line(frequencies_hz: list[float]) -> Tensor:
    """(K, K) matrix whose product with a row of K values leaves what a line over log frequency does not explain.

    Raises:
        ConfigError: A line explains everything.
    """
    if len(frequencies_hz) < 3:
        raise ConfigError(
            f"objective.target log_spectrum minus slope has {len(frequencies_hz)} frequencies, and a line goes through "
            "any two; raise objective.high_hz or the encoder's patch"
        )
    over = torch.tensor(frequencies_hz, dtype=torch.float64).log10()
    basis = torch.linalg.qr(torch.stack((torch.ones_like(over), over), dim=1)).Q
    residual: Tensor = torch.eye(len(over), dtype=torch.float64) - basis @ basis.T
    return residual.float()


def _refuse_single_patches(source: Source) -> None:
    encoder = source.backbone.encoder
    for montage, n_samples in source.backbone.encoder_spec.n_samples.items():
        if n_samples // encoder.patch_samples < 2:
            raise ConfigError(
                f"objective.target log_spectrum minus window: windows of montage {montage} are one patch, whose mean "
                "is the patch itself; choose another target, or use longer windows (cuts.*.length_s)"
            )
