"""Added noise: its size and its color."""

import pytest
import torch

from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.augmentations.config import NoiseConfig
from eegfm.augmentations.noise import Noise
from eegfm.nn.context import Context

SPEC = spec_of(MONTAGES.values(), 6)


@pytest.mark.parametrize("color", ["white", "pink"])
@pytest.mark.parametrize("duration_s", [6, 5.005])
def test_size_and_color_are_as_asked(color: str, duration_s: float) -> None:
    batch = make_batch(64, duration_s, 8)
    batch["signal"] = torch.linspace(1, 9, 8).view(8, 1, 1) * batch["signal"]
    draws = [Context().window_draws(3, "tuh", 8) for _ in range(2)]
    for relative_to, sd, own in (("microvolts", 2.0, draws[0]), ("window", 0.3, draws[1])):
        config = NoiseConfig.model_validate({"sd": sd, "relative_to": relative_to, "color": color})
        added = Noise(config, SPEC)(batch, own)["signal"] - batch["signal"]
        unit = batch["signal"].std(dim=(1, 2)) if relative_to == "window" else torch.ones(8)
        torch.testing.assert_close(added.square().mean(dim=(1, 2)).sqrt(), sd * unit, rtol=0.03, atol=0.0)
        power = torch.fft.rfft(added / unit.view(8, 1, 1)).abs().square().mean(dim=(0, 1))
        ratio = float(power[20:40].mean() / power[200:400].mean())
        assert ratio == pytest.approx(10.0 if color == "pink" else 1.0, rel=0.1)
        channels = torch.corrcoef(added[0])
        assert float((channels - torch.eye(64)).abs().max()) < (0.7 if color == "pink" else 0.2)
