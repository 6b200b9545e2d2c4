import mne
import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score

from eegfm.errors import ConfigError
from eegfm.evaluation.band_power import BANDS_HZ, log_band_power, relative_band_power


@pytest.mark.parametrize(("band", "frequency_hz"), [(0, 2.0), (1, 6.0), (2, 10.0), (3, 20.0), (4, 40.0)])
def test_a_sine_has_its_power_in_its_band(band, frequency_hz):
    time_s = np.arange(400) / 100
    sine_uv = 20 * np.sin(2 * np.pi * frequency_hz * time_s)
    powers = log_band_power(np.stack([sine_uv, 2 * sine_uv])[None], 100.0)[0]
    assert powers.shape == (2, len(BANDS_HZ))
    assert powers[0, band] == pytest.approx(np.log10(20**2 / 2), abs=0.02)
    assert powers[1, band] == pytest.approx(np.log10(40**2 / 2), abs=0.02)
    assert (np.delete(powers[0], band) < powers[0, band] - 1).all()


def test_white_noise_has_its_density():
    noise_uv = np.random.default_rng(0).normal(0, 10, (50, 1, 1000)).astype(np.float32)
    # Variance 100 is spread over 50 Hz; alpha holds the five bins of 8 to 12 Hz.
    assert 10 ** log_band_power(noise_uv, 100.0)[:, 0, 2].mean() == pytest.approx(100 / 50 * 5, rel=0.1)


def test_flat_channel_stays_finite():
    assert np.isfinite(log_band_power(np.zeros((1, 2, 200), dtype=np.float32), 100.0)).all()


@pytest.mark.parametrize(("n_samples", "rate_hz"), [(99, 100.0), (160, 80.0)])
def test_unresolved_bands_are_refused(n_samples, rate_hz):
    with pytest.raises(ConfigError, match=f"windows of {n_samples} samples at {rate_hz:g} Hz"):
        log_band_power(np.zeros((1, 1, n_samples)), rate_hz)


def test_reaches_the_known_score_on_real_eeg(shared_data):
    """Shrinkage LDA on log band power: eyes open against closed in persons not seen before, about 0.83."""
    features, labels, persons = [], [], []
    for person in ("S001", "S002", "S003", "S004", "S038", "S040"):
        for run in ("R01", "R02"):
            path = shared_data / "eegmmidb" / person / f"{person}{run}.edf"
            raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR")
            signal_uv = raw.get_data(units="uV")
            signal_uv -= signal_uv.mean(axis=0)
            windows = signal_uv[:, : 30 * 320].reshape(64, 30, 320).transpose(1, 0, 2)
            features.append(log_band_power(windows, 160.0).reshape(30, -1))
            labels += [run] * 30
            persons += [person] * 30
    x, y, groups = np.concatenate(features), np.array(labels), np.array(persons)
    predicted = np.empty_like(y)
    for person in np.unique(groups):
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        predicted[groups == person] = lda.fit(x[groups != person], y[groups != person]).predict(x[groups == person])
    assert balanced_accuracy_score(y, predicted) == pytest.approx(0.83, abs=0.02)


def test_relative_power_is_a_share_and_knows_no_gain() -> None:
    noise_uv = np.random.default_rng(0).normal(0, 10, (3, 2, 400))
    powers = 10.0 ** log_band_power(noise_uv, 100.0)
    found = relative_band_power(log_band_power(noise_uv, 100.0))
    np.testing.assert_allclose(10.0**found, powers / powers.sum(axis=-1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(relative_band_power(log_band_power(3 * noise_uv, 100.0)), found, atol=1e-5)
    assert np.isfinite(relative_band_power(log_band_power(0 * noise_uv, 100.0))).all()
