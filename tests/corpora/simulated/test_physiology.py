from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import welch

from eegfm.corpora.simulated import physiology
from eegfm.corpora.simulated.config import Effects, SimulatedHbn
from eegfm.corpora.simulated.head import HBN_NAMES, TUH_NAMES, electrode_directions
from eegfm.corpora.simulated.people import hbn_person
from eegfm.corpora.simulated.tasks import Timeline


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_noise_has_unit_variance_and_the_spectrum_asked_for() -> None:
    noise = physiology._noise(200, 2003, 250, lambda hz: np.maximum(hz, 0.5) ** -0.7, _rng())
    assert (noise.shape, noise.dtype) == ((200, 2003), np.float32)
    assert noise.var() == pytest.approx(1, rel=0.03)
    hz, power = welch(noise, 250, nperseg=500)
    band = (hz >= 2) & (hz <= 60)
    slope = np.polyfit(np.log(hz[band]), np.log(power.mean(axis=0)[band]), 1)[0]
    assert slope == pytest.approx(-1.4, abs=0.06)


def test_movie_response_is_the_same_at_every_rate() -> None:
    slow = physiology.movie_waveform(20, 100, _rng(3))
    fast = physiology.movie_waveform(20, 500, _rng(3))
    np.testing.assert_allclose(fast[:, ::5], slow, atol=1e-4)
    many = np.concatenate([physiology.movie_waveform(20, 100, _rng(k)) for k in range(30)])
    assert many.var() == pytest.approx(1, rel=0.1)


def test_press_shape_peaks_at_the_press_and_turns_positive() -> None:
    time_s = np.arange(-1200, 600) / 1000
    shape = physiology.press_shape(time_s)
    assert time_s[shape.argmin()] == pytest.approx(0)
    assert shape.min() == pytest.approx(-1, abs=0.01)
    assert 0.7 < shape[time_s > 0.1].max() < 0.85
    assert np.abs(np.diff(shape)).max() < 0.05  # no step


def test_press_is_stronger_over_the_other_hand_area() -> None:
    person, effects = hbn_person(SimulatedHbn(), 0), Effects()
    timeline = Timeline(4, (), presses=((2.0, True),))
    left, right, vertex = physiology._press(person, timeline, effects, 100)[:, 200]
    assert abs(left) > abs(vertex) > abs(right) > 0


def test_neighbours_correlate_more_than_distant_electrodes() -> None:
    person = hbn_person(SimulatedHbn(), 0)
    signal = physiology.scalp_potential(person, Timeline(30, ()), Effects(), HBN_NAMES, 100, _rng())
    signal = signal - signal.mean(axis=0)
    place = electrode_directions(HBN_NAMES)
    angle = np.rad2deg(np.arccos(np.clip(place @ place.T, -1, 1)))
    r = np.corrcoef(signal)
    near, far = r[(angle > 1) & (angle < 20)].mean(), np.abs(r[angle > 60]).mean()
    assert near > 0.6
    assert far < 0.3


def test_blinks_are_frontal_and_only_with_open_eyes() -> None:
    person = hbn_person(SimulatedHbn(), 1)
    timeline = Timeline(60, ((0.0, 30.0),))
    signal = physiology.scalp_potential(person, timeline, Effects(), TUH_NAMES, 250, _rng())
    front, back = signal[TUH_NAMES.index("Fp1")], signal[TUH_NAMES.index("O1")]
    opened = slice(0, 30 * 250)
    closed = slice(31 * 250, None)
    assert front[opened].max() > 90
    assert front[opened].max() > 1.6 * max(front[closed].max(), back[opened].max())


def test_line_hum_is_there_below_half_the_rate_only() -> None:
    person = hbn_person(SimulatedHbn(), 1)
    signal = physiology.scalp_potential(person, Timeline(20, ()), Effects(), TUH_NAMES, 250, _rng())
    hz, power = welch(signal, 250, nperseg=1000)
    at, beside = power[:, hz == 60].mean(), power[:, (hz > 54) & (hz < 58)].mean()
    assert at > 5 * beside


def _power(signal: np.ndarray, channel: str, low_hz: float, high_hz: float) -> float:
    hz, power = welch(signal[TUH_NAMES.index(channel)], 250, nperseg=500)
    return float(power[(hz >= low_hz) & (hz <= high_hz)].mean())


@pytest.mark.parametrize(
    ("feature", "change", "above", "below"),
    [
        ("log_alpha", 0.8, ("O1", 8, 12), ("O1", 16, 30)),
        ("log_asymmetry", 1.0, ("O2", 8, 12), ("O1", 8, 12)),
        ("log_theta", 1.0, ("Fz", 5, 7), ("Fz", 24, 40)),
        ("log_beta", 1.0, ("C3", 15, 25), ("C3", 8, 12)),
        ("log_slow", 1.0, ("T3", 1, 6), ("T3", 16, 30)),
        ("exponent", 0.6, ("F7", 1, 4), ("F7", 24, 40)),
    ],
)
def test_each_feature_of_a_person_shows_in_its_own_band_and_place(
    feature: str, change: float, above: tuple[str, float, float], below: tuple[str, float, float]
) -> None:
    person = replace(hbn_person(SimulatedHbn(), 0), log_alpha=0, log_theta=0, log_asymmetry=0, alpha_peak_hz=10)

    def contrast(value: float) -> float:
        other = replace(person, **{feature: value})
        signal = physiology.scalp_potential(other, Timeline(40, ()), Effects(), TUH_NAMES, 250, _rng())
        return _power(signal, *above) / _power(signal, *below)

    base = 1.4 if feature == "exponent" else 0.0
    assert contrast(base + change) > 1.5 * contrast(base)
