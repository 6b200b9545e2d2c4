"""Fourier amplitudes and phases of a patch as a target.

Shapes: see ``eegfm.objectives.patches.targets.base``; F frequencies, K = 3 F values.
"""

import torch
from torch import Tensor

from eegfm.nn.spectrum import spectrum_frequencies_hz
from eegfm.objectives.patches.targets.base import CLIP, Asked, Source, Standardised
from eegfm.objectives.patches.targets.config import AmplitudePhaseTarget

_TINY = 1e-12


class AmplitudePhase(Standardised):
    """Amplitude of each frequency, standardised over training windows, then cosine, then sine of its phase.

    LaBraM's tokenizer (arXiv 2405.18765, section 2.3) reconstructs amplitude and angle. An angle jumps where its circle
    closes, and means nothing where there is no amplitude: here it is a point of the unit circle, and its distance
    counts by the amplitude over the mean amplitude of the patch.

    Args:
        config: Nothing that is read here.
        source: Its patches are asked for.

    Raises:
        ConfigError: ``high_hz`` reaches half the rate.
    """

    def __init__(self, config: AmplitudePhaseTarget, source: Source) -> None:
        encoder = source.backbone.encoder
        frequencies_hz = spectrum_frequencies_hz(encoder.patch_samples, encoder.rate_hz, source.high_hz)
        super().__init__(source, 3 * len(frequencies_hz), len(frequencies_hz))
        self.n_frequencies = len(frequencies_hz)
        self.frequencies_hz = frequencies_hz
        self.unit = "uV" if source.of == "microvolts" else "1"

    def raw(self, asked: Asked) -> Tensor:
        """(B, N, G, F) amplitudes: a sine of one frequency has its own; see the base class."""
        return self._spectrum(asked.patches)[2]

    def forward(self, asked: Asked) -> Tensor:
        """(B, N, G, 3 F) amplitudes, cosines and sines; see the base class."""
        real, imaginary, amplitude = self._spectrum(asked.patches)
        standardised = ((amplitude - self.mean) / self.sd).clamp(-CLIP, CLIP)
        length = amplitude.clamp_min(_TINY)
        return torch.cat((standardised, real / length, imaginary / length), dim=-1)

    def weights(self, target: Tensor) -> Tensor | None:
        """Return one for amplitudes, for phases their amplitude over the patch's mean; see the base class."""
        amplitude = (target[..., : self.n_frequencies] * self.sd + self.mean).clamp_min(0)
        of_phase = amplitude / amplitude.mean(dim=-1, keepdim=True).clamp_min(_TINY)
        return torch.cat((torch.ones_like(of_phase), of_phase, of_phase), dim=-1)

    def physical(self, outputs: Tensor) -> Tensor | None:
        """Show amplitudes; see the base class."""
        return super().physical(outputs[..., : self.n_frequencies])

    def _spectrum(self, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Real part, imaginary part, amplitude: (B, N, G, F) each."""
        with torch.autocast(patches.device.type, enabled=False):
            spectrum = torch.fft.rfft(patches.float(), norm="forward")[..., 1 : self.n_frequencies + 1]
            real, imaginary = 2 * spectrum.real, 2 * spectrum.imag
            return real, imaginary, (real.square() + imaginary.square()).sqrt()
