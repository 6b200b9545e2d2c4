"""Simulated physiology: source waveforms in microvolts, mixed to electrodes through the head model.

Every rhythm is Gaussian noise with a given spectrum, so its expected amplitude is exact and its phase is free. The
amplitude of a source is the amplitude at the scalp right above the source, against a reference far away.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from eegfm.corpora.simulated.config import Effects
from eegfm.corpora.simulated.head import electrode_directions, even_directions, radial_gain
from eegfm.corpora.simulated.people import Person
from eegfm.corpora.simulated.tasks import MOVIE_CODES, Timeline

Waves = NDArray[np.float32]
Spectrum = Callable[[NDArray[np.float64]], NDArray[np.float64]]

N_BACKGROUND = 48
ALPHA_UV, SLOW_UV, BETA_UV, THETA_UV = 14.0, 4.0, 2.5, 3.5
BACKGROUND_UV, SENSOR_UV, LINE_UV = 10.0, 1.0, 0.7
BLINK_UV, BLINKS_PER_S, BLINK_SD_S = 110.0, 0.25, 0.07
LINE_HZ = 60.0
SOURCE_JITTER = 0.05
MOVIE_MAX_HZ = 12.0

SOURCES: dict[str, tuple[str, ...]] = {
    "alpha": ("O1", "O2", "P3", "P4"),
    "slow": ("F3", "F4", "T3", "T4", "P3", "P4", "Fz", "Pz"),
    "beta": ("C3", "C4", "Fz"),
    "theta": ("Fz",),
    "press": ("C3", "C4", "Cz"),
    "movie": ("Oz", "T3", "T4", "CPz"),
    "blink": ("Fp1", "Fp2"),
}
"""The electrode above each named source. The movie's two temporal sources share one waveform."""


def scalp_potential(
    person: Person, timeline: Timeline, effects: Effects, names: Sequence[str], rate_hz: int, rng: np.random.Generator
) -> Waves:
    """Simulate one recording against a reference far away.

    Args:
        person: The person.
        timeline: Course of the recording.
        effects: Sizes of the planted effects.
        names: Electrodes, by HydroCel or 10-05 names.
        rate_hz: Sampling rate.
        rng: Generator of all noise.

    Returns:
        (C, T) microvolts.
    """
    n_samples = timeline.duration_s * rate_hz
    eyes = open_eyes(timeline, rate_hz)
    waves = np.concatenate(
        [
            BACKGROUND_UV * person.background_ratio * _background(person.exponent, n_samples, rate_hz, rng),
            _alpha(person, effects, eyes, rate_hz, rng),
            SLOW_UV * np.exp(person.log_slow) * _noise(8, n_samples, rate_hz, _slow, rng),
            BETA_UV * np.exp(person.log_beta) * _noise(3, n_samples, rate_hz, _bump(20, 3), rng),
            THETA_UV * np.exp(person.log_theta) * _noise(1, n_samples, rate_hz, _bump(6, 0.8), rng),
            _press(person, timeline, effects, rate_hz),
            _movie(person, timeline, effects, rate_hz, rng),
            _blinks(timeline, rate_hz, rng),
        ],
        dtype=np.float32,
    )
    signal = head_gain(person, names).astype(np.float32) @ waves
    signal += np.float32(SENSOR_UV) * rng.standard_normal(signal.shape, dtype=np.float32)
    if rate_hz / 2 > LINE_HZ:
        signal += _line(len(names), n_samples, rate_hz, rng)
    return np.asarray(signal)


def head_gain(person: Person, names: Sequence[str]) -> NDArray[np.float64]:
    """Compute a person's (C, S) gains: background sources, then named sources, each slightly displaced."""
    electrodes = electrode_directions(names)
    under = electrode_directions([name for group in SOURCES.values() for name in group])
    directions = np.concatenate([even_directions(N_BACKGROUND), under])
    jitter = np.random.default_rng([*person.seed, 1]).standard_normal(directions.shape)
    directions = directions + SOURCE_JITTER * jitter
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    gain = radial_gain(electrodes, directions)
    gain[:, :N_BACKGROUND] /= np.sqrt((gain[:, :N_BACKGROUND] ** 2).sum(axis=1).mean())
    return gain


def open_eyes(timeline: Timeline, rate_hz: int) -> Waves:
    """Opening of the eyes per sample, from 0 to 1, with transitions of half a second."""
    mask = np.zeros(timeline.duration_s * rate_hz, dtype=np.float32)
    for start_s, stop_s in timeline.eyes_open_s:
        mask[round(start_s * rate_hz) : round(stop_s * rate_hz)] = 1
    return np.asarray(uniform_filter1d(mask, max(rate_hz // 2, 1), mode="nearest"))


def _noise(n_rows: int, n_samples: int, rate_hz: int, spectrum: Spectrum, rng: np.random.Generator) -> Waves:
    """Gaussian noise of unit expected variance whose amplitude spectrum has the given shape, as (n_rows, n_samples)."""
    n_fft = scipy.fft.next_fast_len(n_samples, real=True)
    shape = spectrum(scipy.fft.rfftfreq(n_fft, 1 / rate_hz))
    shape[0] = 0
    scale = (n_fft / 2 / np.sqrt((shape**2).sum()) * shape).astype(np.float32)
    parts = rng.standard_normal((n_rows, len(shape), 2), dtype=np.float32)
    coefficients = parts.view(np.complex64)[..., 0] * scale
    return np.asarray(scipy.fft.irfft(coefficients, n_fft, overwrite_x=True)[:, :n_samples])


def _bump(centre_hz: float, sd_hz: float) -> Spectrum:
    return lambda hz: np.exp(-0.25 * ((hz - centre_hz) / sd_hz) ** 2)


def _slow(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Delta around 2.2 Hz and theta around 5.5 Hz, of equal power."""
    power = np.exp(-0.5 * ((hz - 2.2) / 0.7) ** 2) / 0.7 + np.exp(-0.5 * (hz - 5.5) ** 2)
    return np.sqrt(power)


def _background(exponent: float, n_samples: int, rate_hz: int, rng: np.random.Generator) -> Waves:
    """1/f noise, flat below half a hertz, of unit variance whatever the exponent is."""
    return _noise(N_BACKGROUND, n_samples, rate_hz, lambda hz: np.maximum(hz, 0.5) ** (-exponent / 2), rng)


def _alpha(person: Person, effects: Effects, eyes: Waves, rate_hz: int, rng: np.random.Generator) -> Waves:
    """Posterior alpha: four partly coherent sources; the amplitude drifts, falls with open eyes, differs by side."""
    rhythm = _noise(5, len(eyes), rate_hz, _bump(person.alpha_peak_hz, 0.6), rng)
    own = np.sqrt(np.float32(0.5)) * (rhythm[:1] + rhythm[1:])
    drift = _noise(1, len(eyes), rate_hz, lambda hz: np.exp(-((hz / 0.08) ** 2)), rng)[0]
    level = np.exp(person.log_alpha + effects.alpha_drift_log_sd * drift - effects.eyes_log_alpha * eyes)
    side = np.exp(np.array([-0.5, 0.5, -0.5, 0.5]) * person.log_asymmetry)
    size = ALPHA_UV * side * np.array([1, 1, 0.5, 0.5])
    return np.asarray(size[:, None].astype(np.float32) * level * own)


def press_shape(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Button-press potential in units of its peak: a negativity that grows until the press, then a positivity."""
    before = -np.exp(np.minimum(time_s, 0) / 0.25)
    after = -np.exp(-np.maximum(time_s, 0) / 0.06) + 0.8 * np.exp(-0.5 * ((time_s - 0.22) / 0.08) ** 2)
    return np.where(time_s <= 0, before, after)


def _press(person: Person, timeline: Timeline, effects: Effects, rate_hz: int) -> Waves:
    """Press weights: strongest over the hand area of the other side, weaker at the vertex, weakest on its own side."""
    waves = np.zeros((3, timeline.duration_s * rate_hz), dtype=np.float32)
    size = effects.press_uv * person.press_ratio
    for press_s, right in timeline.presses:
        start, stop = round((press_s - 1.2) * rate_hz), round((press_s + 0.6) * rate_hz)
        index = np.arange(max(start, 0), min(stop, waves.shape[1]))
        weights = np.array([1, 0.3, 0.6] if right else [0.3, 1, 0.6])
        waves[:, index] += (size * weights[:, None] * press_shape(index / rate_hz - press_s)).astype(np.float32)
    return waves


def movie_waveform(length_s: int, rate_hz: int, rng: np.random.Generator) -> Waves:
    """Draw a response to a movie: (3, T) of unit variance, 0.5 to 12 Hz, the same at every rate."""
    hz = np.arange(1, int(MOVIE_MAX_HZ * length_s) + 1) / length_s
    shape = np.where(hz >= 0.5, 1 / (1 + (hz / 2) ** 2), 0.0)
    parts = rng.standard_normal((3, len(hz), 2)) * (shape / np.sqrt((shape**2).sum()))[:, None]
    n = length_s * rate_hz
    coefficients = np.zeros((3, n // 2 + 1), dtype=np.complex64)
    coefficients[:, 1 : len(hz) + 1] = (parts[..., 0] + 1j * parts[..., 1]) * n / 2
    return np.asarray(scipy.fft.irfft(coefficients, n))


def _movie(person: Person, timeline: Timeline, effects: Effects, rate_hz: int, rng: np.random.Generator) -> Waves:
    """Sum of a response that all persons of the seed share, and a response of this person."""
    waves = np.zeros((4, timeline.duration_s * rate_hz), dtype=np.float32)
    if timeline.movie is None:
        return waves
    name, start_s, length_s = timeline.movie
    seed, code = person.seed[0], MOVIE_CODES[name][0]
    shared = movie_waveform(length_s, rate_hz, np.random.default_rng([seed, 0, code]))
    own = movie_waveform(length_s, rate_hz, rng)
    ratio = effects.movie_shared_ratio
    response = np.sqrt(ratio) * shared + np.sqrt(1 - ratio) * own
    start = round(start_s * rate_hz)
    size = np.float32(effects.movie_uv * person.movie_ratio)
    waves[:, start : start + response.shape[1]] = size * response[[0, 1, 1, 2]]
    return waves


def _blinks(timeline: Timeline, rate_hz: int, rng: np.random.Generator) -> Waves:
    """Blinks while the eyes are open, at random times; both eyes together."""
    waves = np.zeros((2, timeline.duration_s * rate_hz), dtype=np.float32)
    for start_s, stop_s in timeline.eyes_open_s:
        for blink_s in rng.uniform(start_s, stop_s, rng.poisson(BLINKS_PER_S * (stop_s - start_s))):
            reach = 4 * BLINK_SD_S
            first, last = round((blink_s - reach) * rate_hz), round((blink_s + reach) * rate_hz)
            index = np.arange(max(first, 0), min(last, waves.shape[1]))
            bell = np.exp(-0.5 * ((index / rate_hz - blink_s) / BLINK_SD_S) ** 2)
            waves[:, index] += (BLINK_UV * np.exp(0.2 * rng.standard_normal()) * bell).astype(np.float32)
    return waves


def _line(n_channels: int, n_samples: int, rate_hz: int, rng: np.random.Generator) -> Waves:
    """Hum of the power line: one sine per channel."""
    size = LINE_UV * np.exp(0.5 * rng.standard_normal((n_channels, 1)))
    phase = rng.uniform(0, 2 * np.pi, (n_channels, 1))
    return np.asarray(size * np.sin(2 * np.pi * LINE_HZ * np.arange(n_samples) / rate_hz + phase), dtype=np.float32)
