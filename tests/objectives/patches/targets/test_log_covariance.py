"""Log-Euclidean covariances, against eigenvalues in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eegfm.batch import WindowBatch
from eegfm.errors import ConfigError
from eegfm.objectives.patches.targets.base import Asked, Source, Target
from eegfm.objectives.patches.targets.config import LogCovarianceTarget
from eegfm.objectives.patches.targets.log_covariance import BANDS_HZ, PLACES, LogCovariance, _quadrature
from eegfm.signal.montages.canonical import CanonicalName, canonical_montage
from objectives.patches.targets.conftest import MONTAGE, C, T

Array = NDArray[np.float64]


def place_weights(positions_m: Array) -> Array:
    """(C, 10) Gaussian weights of the angle to each place; they add up to a tenth of the channels."""
    montage = canonical_montage("1010_64")
    weights = np.empty((len(positions_m), len(PLACES)))
    for k, name in enumerate(PLACES):
        place = np.asarray(montage.positions_m[montage.channel_names.index(name)])
        for c, at in enumerate(positions_m):
            cosine = at @ place / np.linalg.norm(at) / np.linalg.norm(place)
            weights[c, k] = np.exp(-(np.degrees(np.arccos(min(cosine, 1.0))) ** 2) / (2 * 20**2))
    return weights / weights.sum(axis=0) * len(positions_m) / 10


def expected_rows(signal_uv: Array, positions_m: Array, shrinkage: float = 0.1) -> Array:
    """(C, 40) rows of a window of real channels."""
    n, n_samples = signal_uv.shape
    hann = np.hanning(n_samples + 1)[:-1]
    tapered = (signal_uv - signal_uv.mean(axis=1, keepdims=True)) * hann
    frequencies = np.fft.rfftfreq(n_samples, 0.01)
    rows = []
    for low, high in BANDS_HZ:
        inside = (frequencies >= low) & (frequencies < high)
        kept = np.fft.irfft(np.fft.rfft(tapered) * inside, n_samples)
        covariance = kept @ kept.T / np.square(hann).sum()
        mean_power = np.trace(covariance) / n + 1e-4 * (high - low)
        shrunk = (1 - shrinkage) * covariance + shrinkage * mean_power * np.eye(n)
        eigenvalues, vectors = np.linalg.eigh(shrunk)
        rows.append((vectors * np.log(eigenvalues)) @ vectors.T @ place_weights(positions_m) / np.log(10))
    return np.concatenate(rows, axis=1)


def mixed(batch: WindowBatch) -> WindowBatch:
    """The windows with channels that are like their neighbours."""
    mixing = torch.eye(C) + 0.5 * torch.randn(C, C, generator=torch.Generator().manual_seed(8))
    return {**batch, "signal": mixing @ batch["signal"]}


@pytest.mark.parametrize("of", ["microvolts", "normalized"])
def test_rows_equal_those_of_the_logarithms_of_eigenvalues(
    of: str,
    source: Callable[..., Source],
    windows: Callable[..., WindowBatch],
    ask: Callable[..., Asked],
) -> None:
    own, batch = source(of), mixed(windows(bad={1: [0, 7, 18], 2: list(range(1, 19))}))
    target: Any = LogCovarianceTarget().build(own)
    found = target.raw(ask(own, batch)).view(3, C, 4, 40)
    assert torch.equal(found[:, :, :1].expand(-1, -1, 4, -1), found), "the same at all times"
    for b in range(3):
        real = batch["channel_mask"][b].numpy()
        positions_m = batch["channel_positions"][b].double().numpy()[real]
        expected = expected_rows(batch["signal"][b].double().numpy()[real], positions_m)
        np.testing.assert_allclose(found[b, real, 0].numpy(), expected, atol=2e-4)
    assert torch.equal(found[1, 0], torch.zeros(4, 40))


def field_rows(name: CanonicalName, source: Source) -> Array:
    """(B, 19, 40) rows of the channels nearest to those of the 10-20 system, of one smooth field on the scalp."""
    montage = canonical_montage(name)
    generator = torch.Generator().manual_seed(0)
    sources = torch.nn.functional.normalize(torch.randn(20, 3, generator=generator), dim=1)
    active = torch.linspace(10, 60, 20).view(20, 1) * torch.randn(4, 20, T, generator=generator)
    at = torch.nn.functional.normalize(torch.from_numpy(montage.positions()), dim=1)
    signal = (-((at @ sources.T).clamp(-1, 1).acos() ** 2) / 0.72).exp() @ active
    mask = torch.ones(4, montage.n_channels, dtype=torch.bool)
    target = LogCovariance(LogCovarianceTarget(), source)
    windows: Any = {"channel_positions": torch.from_numpy(montage.positions()).expand(4, -1, -1), "channel_mask": mask}
    rows = target._pooled_logarithm(signal - signal.mean(dim=1, keepdim=True), windows)
    nearest = torch.nn.functional.normalize(torch.from_numpy(MONTAGE.positions()), dim=1) @ at.T
    return rows[:, nearest.argmax(dim=1)].double().numpy()


def test_montages_agree(source: Callable[..., Source]) -> None:
    few, many = (field_rows(name, source()) for name in ("1020_19", "1010_64"))
    assert np.corrcoef(few.ravel(), many.ravel())[0, 1] > 0.98
    assert many.std() == pytest.approx(few.std(), rel=0.2)


def test_it_is_standardised_without_bad_channels(
    source: Callable[..., Source],
    windows: Callable[..., WindowBatch],
    ask: Callable[..., Asked],
    fitted: Callable[..., Target],
) -> None:
    own, batch = source(), windows(bad={1: [0, 7]})
    target = fitted(LogCovarianceTarget(), own, batch)
    asked = ask(own, batch)
    assert asked.mask is not None
    values = target(asked)[asked.mask.expand(3, -1, -1)].double()
    np.testing.assert_allclose(values.mean(dim=0), 0, atol=1e-4)
    np.testing.assert_allclose(values.std(dim=0, unbiased=False), 1, atol=1e-3)


def test_a_flat_window_is_finite(
    source: Callable[..., Source], windows: Callable[..., WindowBatch], ask: Callable[..., Asked]
) -> None:
    own, batch = source(), windows()
    flat: WindowBatch = {**batch, "signal": torch.zeros(3, C, T)}
    assert LogCovarianceTarget().build(own)(ask(own, flat)).isfinite().all()


@pytest.mark.parametrize("shrinkage", [0.01, 0.1])
def test_the_logarithm_of_129_channels_is_exact_enough(shrinkage: float) -> None:
    """One source in all channels, and many: the widest and the narrowest range of eigenvalues."""
    n = 129
    lowest, highest = shrinkage, n + 1 - shrinkage * (n - 1)
    centre = np.sqrt(lowest * highest)
    nodes, weights = (part.double().numpy() for part in _quadrature(np.sqrt(highest / lowest)))
    for eigenvalue in (lowest, 1.0, highest):
        x = eigenvalue / centre
        assert np.log(centre) + np.sum(weights * (x - 1) / (1 + nodes * (x - 1))) == pytest.approx(
            np.log(eigenvalue), abs=1e-4
        )


def test_bands_that_windows_cannot_tell_apart_are_refused(source: Callable[..., Source]) -> None:
    with pytest.raises(ConfigError, match=r"windows of montage .* last 0.2 s, too short to tell the bands"):
        LogCovariance(LogCovarianceTarget(), _with(source(), 100.0, 20))
    with pytest.raises(ConfigError, match=r"bands up to 30 Hz, and the rate is 50 Hz"):
        LogCovariance(LogCovarianceTarget(), _with(source(), 50.0, 400))


def _with(source: Source, rate_hz: float, n_samples: int) -> Source:
    """The source, said to have windows of another rate and length."""
    encoder, spec = source.backbone.encoder, source.backbone.spec
    encoder.rate_hz = rate_hz
    source.backbone.spec = type(spec)(rate_hz, spec.montages, dict.fromkeys(spec.montages, n_samples))
    return source
