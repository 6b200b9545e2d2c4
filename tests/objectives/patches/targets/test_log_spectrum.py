"""Log spectra without offsets, against scipy in float64. With offsets, tests/objectives/test_masked.py has them."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import periodogram

from eegfm.batch import WindowBatch
from eegfm.errors import ConfigError
from eegfm.objectives.patches.targets.base import Asked, Source, Target
from eegfm.objectives.patches.targets.config import LogSpectrumTarget
from objectives.patches.targets.conftest import patches_of

Array = NDArray[np.float64]


def spectra_of(batch: WindowBatch) -> tuple[Array, Array]:
    """(K,) frequencies, (B, C, P, K) log spectra."""
    frequencies, density = periodogram(patches_of(batch), 100.0, window="hann", detrend=False)
    return frequencies[1:46], np.log10(density[..., 1:46] + 1e-4)


def without_window(spectra: Array, frequencies: Array) -> Array:
    return spectra - spectra.mean(axis=2, keepdims=True)


def without_slope(spectra: Array, frequencies: Array) -> Array:
    left = np.empty_like(spectra)
    for place in np.ndindex(*spectra.shape[:3]):
        line = np.polynomial.Polynomial.fit(np.log10(frequencies), spectra[place], 1)
        left[place] = spectra[place] - line(np.log10(frequencies))
    return left


@pytest.mark.parametrize(("minus", "without"), [("window", without_window), ("slope", without_slope)])
def test_what_is_left_is_standardised_over_training_windows(
    minus: str,
    without: Callable[[Array, Array], Array],
    source: Callable[..., Source],
    windows: Callable[..., WindowBatch],
    ask: Callable[..., Asked],
    fitted: Callable[..., Target],
) -> None:
    own, bad = source(), {0: [2, 7]}
    training, other = [windows(1, bad=bad), windows(2)], windows(3)
    target = fitted(LogSpectrumTarget(minus=minus), own, *training)
    frequencies, _ = spectra_of(other)
    left = [without(spectra_of(batch)[1], frequencies) for batch in training]
    left[0] = left[0][training[0]["channel_mask"].numpy()].reshape(-1, 45)  # two channels of a window are bad
    left[1] = left[1].reshape(-1, 45)
    mean = np.mean([values.mean(axis=0) for values in left], axis=0)
    sd = np.sqrt(np.mean([np.square(values).mean(axis=0) for values in left], axis=0) - mean**2)
    expected = (without(spectra_of(other)[1], frequencies) - mean) / sd
    np.testing.assert_allclose(target(ask(own, other)).view(3, 19, 4, 45).numpy(), expected, atol=2e-4)
    assert set(target.state_dict()) == {"mean", "sd"}


def test_a_gain_changes_nothing_of_it(
    source: Callable[..., Source], windows: Callable[..., WindowBatch], ask: Callable[..., Asked]
) -> None:
    own, batch = source(), windows()
    batch["signal"] = 1000 * batch["signal"]  # far above the floor
    louder: WindowBatch = {**batch, "signal": 3 * batch["signal"]}
    for minus in ("window", "slope"):
        target = LogSpectrumTarget(minus=minus).build(own)
        np.testing.assert_allclose(target(ask(own, louder)).numpy(), target(ask(own, batch)).numpy(), atol=2e-3)


def test_nothing_would_be_left_is_refused(source: Callable[..., Source]) -> None:
    with pytest.raises(ConfigError, match=r"minus window: windows of montage .* are one patch"):
        LogSpectrumTarget(minus="window").build(source(n_samples=100))
    with pytest.raises(ConfigError, match=r"minus slope has 2 frequencies"):
        LogSpectrumTarget(minus="slope").build(source(high_hz=2.0))
