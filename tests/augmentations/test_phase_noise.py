"""Smooth random change of phases."""

import pytest
import torch

from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.augmentations.config import PhaseNoiseConfig
from eegfm.augmentations.phase_noise import PhaseNoise
from eegfm.nn.context import Context

SPEC = spec_of(MONTAGES.values(), 4)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("duration_s", [2, 1.005])
def test_amplitudes_stay_and_phases_change(duration_s: float, per_channel: bool) -> None:
    batch = make_batch(19, duration_s)
    noise = PhaseNoise(PhaseNoiseConfig(per_channel=per_channel, sd_rad=2.0), SPEC)
    out = noise(batch, Context().window_draws(3, "tuh", 2))["signal"]
    before, after = torch.fft.rfft(batch["signal"]), torch.fft.rfft(out)
    torch.testing.assert_close(after.abs(), before.abs(), atol=1e-3, rtol=1e-3)
    turned = torch.angle(after[..., 5:-5] / before[..., 5:-5])
    assert float(turned.std()) > 0.5
    assert float((turned - turned[:, :1]).abs().max() > 1e-2) == per_channel


def test_neighbouring_frequencies_turn_alike() -> None:
    batch = make_batch(19, 4, n_windows=1)
    out = PhaseNoise(PhaseNoiseConfig(), SPEC)(batch, Context().window_draws(3, "tuh", 1))["signal"]
    turned = torch.angle(torch.fft.rfft(out)[0, 0] / torch.fft.rfft(batch["signal"])[0, 0])
    assert float(turned.diff().abs().max()) < 0.1
