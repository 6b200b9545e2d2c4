"""Smooth random gain over frequency."""

import math

import pytest
import torch

from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.augmentations.config import SpectralTiltConfig
from eegfm.augmentations.spectral_tilt import SpectralTilt
from eegfm.nn.context import Context

SPEC = spec_of(MONTAGES.values(), 4)


@pytest.mark.parametrize("per_channel", [False, True])
def test_the_gain_is_smooth_and_of_the_size_asked_for(per_channel: bool) -> None:
    batch = make_batch(19, 2, n_windows=60)
    tilt = SpectralTilt(SpectralTiltConfig(per_channel=per_channel), SPEC)
    out = tilt(batch, Context().window_draws(3, "tuh", 60))["signal"]
    before, after = torch.fft.rfft(batch["signal"].double()), torch.fft.rfft(out.double())
    gain = (after / before)[..., 1:-1]
    assert float(gain.imag.abs().max()) < 1e-2, "phases stay"
    log_gain = gain.real.log()
    assert float(log_gain.diff(dim=-1).abs().max()) < 0.1
    # At 0 Hz all cosines are 1: the variances of their amplitudes add up.
    expected = 0.15 * math.sqrt(sum(1 / k for k in range(1, 7)))
    assert float(log_gain[..., 0].std()) == pytest.approx(expected, rel=0.25)
    assert (float((log_gain - log_gain[:, :1]).abs().max()) > 0.1) == per_channel
