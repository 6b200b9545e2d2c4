"""Removal of a random band."""

import pytest
import torch

from contracts.encoder_cases import MONTAGES, RATE_HZ, make_batch, spec_of
from eegfm.augmentations.band_stop import BandStop
from eegfm.augmentations.config import BandStopConfig
from eegfm.errors import ConfigError
from eegfm.nn.context import Context

SPEC = spec_of(MONTAGES.values(), 4)


def test_a_tone_in_the_band_is_gone_and_others_stay() -> None:
    batch = make_batch(19, 4)
    seconds = torch.arange(800) / RATE_HZ
    tones = [torch.sin(2 * torch.pi * frequency_hz * seconds) for frequency_hz in (6, 10, 14)]
    batch["signal"] = sum(tones).expand(2, 19, 800)
    config = BandStopConfig(low_hz=9.5, high_hz=10.5, min_width_hz=2, max_width_hz=4, edge_hz=0.5)
    out = BandStop(config, SPEC)(batch, Context().window_draws(3, "tuh", 2))["signal"]
    torch.testing.assert_close(out, (tones[0] + tones[2]).expand(2, 19, 800), atol=1e-4, rtol=0.0)


def test_a_centre_beyond_half_the_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"high_hz 100 of augmentation band_stop is not below half the rate \(100 Hz"):
        BandStop(BandStopConfig(high_hz=100), SPEC)
