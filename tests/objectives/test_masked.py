"""Masks and targets of masked prediction."""

import numpy as np
import pytest
import torch
from scipy.signal import periodogram

from backbones import WindowBackbone
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.errors import ConfigError
from eegfm.nn.context import MASKS, Context
from eegfm.objectives.config import MaskedConfig
from eegfm.objectives.masked import Masked
from eegfm.objectives.patches.exact import lowest
from eegfm.recording import Montage

MONTAGE = Montage(tuple("abcde"), tuple((0.02 * k, 0.05, 0.06) for k in range(5)), (True,) * 5, "average")
SPEC = SignalSpec(100.0, {"m": MONTAGE}, {"m": 300})


def context(seed: int = 0) -> Context:
    return Context(seed=seed)


def build(**choices: object) -> Masked:
    encoder = new_encoder(PatchTransformerConfig(d_model=32, head_size=16, n_layers=2), SPEC, seed=0)
    return Masked(MaskedConfig(**choices), WindowBackbone(encoder, SPEC))


def batch(seed: int, n_windows: int = 4, scale_uv: float = 20.0) -> WindowBatch:
    return {
        "signal": scale_uv * torch.randn(n_windows, 5, 300, generator=torch.Generator().manual_seed(seed)),
        "channel_positions": torch.from_numpy(MONTAGE.positions()).expand(n_windows, -1, -1),
        "channel_mask": torch.ones(n_windows, 5, dtype=torch.bool),
        "reference": "average",
        "recording": torch.zeros(n_windows, dtype=torch.int64),
        "corpus": "c",
        "montage": "m",
    }


def test_reconstruction_masks_what_the_mask_says() -> None:
    shown = build(mask_ratio=0.3).reconstruct(batch(0), context(1))
    assert shown["mask"].sum(dim=(1, 2)).tolist() == [4] * 4  # round(0.3 * 15)
    expected = lowest(torch.rand(4, 15, generator=context(1).generator(MASKS)), 4)
    assert torch.equal(shown["mask"].flatten(1).nonzero()[:, 1].view(4, 4), expected)


def test_statistics_are_those_of_the_training_spectra() -> None:
    objective = build()
    batches = [batch(0, 4, 10.0), batch(1, 4, 40.0)]
    objective.setup(batches, context())
    patches = torch.cat([b["signal"] for b in batches]).numpy().reshape(8, 5, 3, 100)
    _, density = periodogram(patches, 100.0, window="hann", detrend=False)
    spectra = np.log10(density[..., 1:46] + 1e-4)
    np.testing.assert_allclose(
        objective.targets["log_spectrum"].mean.numpy(), spectra.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(objective.targets["log_spectrum"].sd.numpy(), spectra.std(axis=(0, 1, 2)), rtol=1e-4)
    assert {"targets.log_spectrum.mean", "targets.log_spectrum.sd"} <= set(objective.own_state())


def test_statistics_weigh_windows_whatever_their_number_of_channels() -> None:
    """A montage of many channels must not decide the mean that others are measured against."""
    objective, few = build(), batch(0, 4, 10.0)
    many: WindowBatch = {**batch(1, 4, 40.0)}
    many["signal"] = many["signal"].repeat(1, 6, 1)
    many["channel_mask"] = many["channel_mask"].repeat(1, 6)
    objective.setup([few, many], context())
    both = objective.targets["log_spectrum"].mean.clone()
    objective.setup([few], context())
    mean_few = objective.targets["log_spectrum"].mean.clone()
    objective.setup([many], context())
    torch.testing.assert_close(both, (mean_few + objective.targets["log_spectrum"].mean) / 2, atol=1e-5, rtol=1e-5)


def test_targets_are_the_patches_spectra() -> None:
    objective = build()
    objective.setup([batch(0)], context())
    shown = objective.reconstruct(batch(3), context(0))
    patches = batch(3)["signal"].numpy().reshape(4, 5, 3, 100)
    frequencies, density = periodogram(patches, 100.0, window="hann", detrend=False)
    np.testing.assert_allclose(shown["frequencies_hz"], frequencies[1:46])
    np.testing.assert_allclose(shown["target"].numpy(), np.log10(density[..., 1:46] + 1e-4), atol=1e-4)
    assert shown["unit"] == "log10 uV²/Hz"


def test_targets_may_be_of_the_normalized_signal() -> None:
    """Samples as the encoder takes them, over no further scale, and their spectrum."""
    normalized = batch(3)["signal"].numpy().reshape(4, 5, 3, 100) / 30
    assert np.abs(normalized).max() < 15
    shown = build(target="signal", of="normalized").reconstruct(batch(3), context(0))
    np.testing.assert_allclose(shown["target"].numpy(), normalized, atol=1e-6)
    assert shown["unit"] == "1"
    for of, scale in (("normalized", 1.0), ("microvolts", 30.0)):
        assert build(target="signal", of=of).targets["signal"].scale == scale
    shown = build(of="normalized").reconstruct(batch(3), context(0))
    density = periodogram(normalized, 100.0, window="hann", detrend=False)[1][..., 1:46]
    np.testing.assert_allclose(shown["target"].numpy(), np.log10(density + 1e-4 / 900), atol=1e-4)
    assert shown["unit"] == "log10 1/Hz"


def test_signal_targets_are_the_patches() -> None:
    shown = build(target="signal").reconstruct(batch(3), context(0))
    torch.testing.assert_close(shown["target"].flatten(2), batch(3)["signal"], atol=1e-4, rtol=1e-5)
    assert shown["unit"] == "uV"
    assert shown["frequencies_hz"] == []


def test_predicting_the_mean_explains_nothing() -> None:
    objective = build()
    objective.setup([batch(0)], context())
    for parameter in objective.head.parameters():
        torch.nn.init.zeros_(parameter)
    loss, logs, _ = objective(batch(0), context(0))
    assert float(logs["baseline_loss"]) == pytest.approx(float(loss.detach()), rel=1e-6)
    assert float(loss.detach()) == pytest.approx(1.0, abs=0.1)


def test_senseless_ratios_and_bands_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"mask_ratio 0\.01 masks 0 of 15"):
        build(mask_ratio=0.01)
    with pytest.raises(ConfigError, match="high_hz 60"):
        build(high_hz=60.0)


def test_a_window_of_one_patch_cannot_mask_it_whole() -> None:
    objective, mixed = build(), batch(0)
    mixed["signal"] = mixed["signal"][..., :100]
    mixed["target_signal"] = mixed["signal"]
    with pytest.raises(ConfigError, match=r"mask_ratio 0\.5 masks 0 of 1 patches"):
        objective(mixed, context(0))


def test_a_window_without_any_real_channel_counts_nothing() -> None:
    objective, uneven = build(), batch(0)
    uneven["channel_mask"] = torch.ones(4, 5, dtype=torch.bool)
    uneven["channel_mask"][2] = False
    loss, _, _ = objective.eval()(uneven, context(0))
    uneven["signal"] = uneven["signal"].clone()
    uneven["signal"][2] = 1e4
    assert torch.isfinite(loss)
    assert torch.equal(objective(uneven, context(0))[0], loss)
