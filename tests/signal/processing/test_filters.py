from fractions import Fraction
from itertools import pairwise

import mne
import numpy as np
import pytest

from edf_files import write_tones
from eegfm.errors import ConfigError, RecordingError
from eegfm.signal.config import SignalParams
from eegfm.signal.montages.electrodes import resolve_channels
from eegfm.signal.open import open_reader
from eegfm.signal.processing.filters import BlockResampler
from eegfm.signal.processing.quantize import quantize, robust_scale_uv

DEFAULT = SignalParams()
EDGE_S = 8


def resample(x, rate_hz, params=DEFAULT, block_samples=None):
    """(C, T) in any precision -> (T_out, C) float32."""
    chain = BlockResampler(rate_hz, params, len(x), block_samples)
    narrow = x.astype(np.float32)
    blocks = list(chain.blocks(lambda start, stop: narrow[:, start:stop], x.shape[1]))
    out = np.concatenate(blocks)
    assert out.dtype == np.float32
    assert len(out) == chain.n_out(x.shape[1])
    return out


def mne_then_exact(x, rate_hz, params=DEFAULT):
    """MNE's FIR in float64 with the same transitions, then one transform over the whole length."""
    width = min(0.25 * params.high_hz, params.rate_hz / 2 - params.high_hz, rate_hz / 2 - params.high_hz)
    y = mne.filter.filter_data(
        x,
        rate_hz,
        params.low_hz,
        params.high_hz,
        h_trans_bandwidth=width,
        l_trans_bandwidth="auto",
        verbose="error",
    )
    if params.notch_hz:
        y = mne.filter.notch_filter(y, rate_hz, [params.notch_hz], verbose="error")
    ratio = Fraction(params.rate_hz) / Fraction(rate_hz).limit_denominator(1000)
    n_in = y.shape[1]
    assert n_in % ratio.denominator == 0
    n_out = n_in // ratio.denominator * ratio.numerator
    spectrum = np.fft.rfft(y)[:, : min(n_in, n_out) // 2 + 1]
    return np.fft.irfft(spectrum, n_out).T * (n_out / n_in)


def eeg_like(rate_hz, duration_s, n_channels=3, line_hz=60.0, seed=0):
    """1/f noise of 20 uV with an offset and line noise, float64 (C, T)."""
    n = round(rate_hz * duration_s)
    rng = np.random.default_rng(seed)
    f = np.fft.rfftfreq(n, 1 / rate_hz)
    spectrum = rng.standard_normal((n_channels, f.size, 2)) @ [1, 1j] / np.maximum(f, 0.1) ** 0.6
    x = np.fft.irfft(spectrum, n)
    x *= 20 / x.std()
    line = 5 * np.sin(2 * np.pi * line_hz * np.arange(n) / rate_hz) if line_hz < rate_hz / 2 else 0
    return x + line + 30


def periodic_mne_then_exact(x, rate_hz, params=DEFAULT):
    """As above for a signal that is one period of a periodic one: then the reference is exact up to its ends."""
    n_out = round(x.shape[1] / rate_hz * params.rate_hz)
    return mne_then_exact(np.tile(x, 3), rate_hz, params)[n_out : 2 * n_out]


def snr_db(found, wanted):
    return 10 * np.log10((wanted**2).sum() / ((found - wanted) ** 2).sum())


@pytest.mark.parametrize("rate_hz", [250, 256, 160, 500, 100, 128, 199.8, 512])
def test_equals_mne_and_an_exact_ratio(rate_hz):
    x = eeg_like(rate_hz, 100)
    found, wanted = resample(x, rate_hz), periodic_mne_then_exact(x, rate_hz)
    assert found.shape == wanted.shape
    inside = slice(EDGE_S * 100, -EDGE_S * 100)
    assert snr_db(found[inside], wanted[inside]) > 90


@pytest.mark.parametrize("rate_hz", [250, 256, 500, 100])
def test_integers_and_scales_equal_mne_and_an_exact_ratio(rate_hz):
    x = eeg_like(rate_hz, 100)
    found, wanted = resample(x, rate_hz), periodic_mne_then_exact(x, rate_hz)
    scales = robust_scale_uv([found])
    stored, n_clipped = quantize(found, scales)
    inside = slice(EDGE_S * 100, -EDGE_S * 100)
    assert n_clipped == 0
    assert snr_db(stored[inside] * scales.astype(np.float64), wanted[inside]) > 80


def test_without_resampling_the_edges_equal_mne_too():
    x = eeg_like(100, 60)
    assert snr_db(resample(x, 100), mne_then_exact(x, 100)) > 100


@pytest.mark.parametrize("line_hz", [50.0, 60.0])
def test_notch_and_its_harmonics_equal_mne(line_hz):
    params = SignalParams(rate_hz=200, high_hz=75, notch_hz=line_hz)
    x = eeg_like(500, 100, line_hz=line_hz)
    inside = slice(EDGE_S * 200, -EDGE_S * 200)
    assert snr_db(resample(x, 500, params)[inside], mne_then_exact(x, 500, params)[inside]) > 80


def test_the_notch_takes_out_the_line_and_every_harmonic_in_the_band():
    params = SignalParams(rate_hz=400, high_hz=150, notch_hz=50)
    time_s = np.arange(1000 * 30) / 1000
    tones = np.array([50, 100, 150, 40, 110])
    out = resample(np.sin(2 * np.pi * tones[:, None] * time_s), 1000, params)[4000:-4000]
    gain_db = 20 * np.log10(out.std(axis=0) * np.sqrt(2))
    assert (gain_db[:3] < -40).all()
    np.testing.assert_allclose(gain_db[3:], 0, atol=0.05)


def test_a_line_at_half_the_rate_is_stopped_and_the_band_below_stays():
    params = SignalParams(high_hz=48, notch_hz=50)
    tones_hz = np.array([10.0, 40.0, 49.75])
    out = resample(np.sin(2 * np.pi * tones_hz[:, None] * np.arange(100 * 60) / 100), 100, params)[2000:-2000]
    gain = out.std(axis=0) * np.sqrt(2)
    np.testing.assert_allclose(gain[:2], 1, atol=0.01)
    assert gain[2] < 0.01


def test_a_tone_at_half_the_output_rate_leaves_nothing():
    x = 1000 * np.cos(2 * np.pi * 50 * np.arange(250 * 600) / 250)[None]
    assert np.abs(resample(x, 250)[20_000:-20_000]).max() < 0.01


def test_half_amplitude_lies_where_mne_puts_it():
    time_s = np.arange(250 * 120) / 250
    tones = np.array([0.25, 0.5, 10, 45, 47.5, 60, 100])
    out = resample(np.cos(2 * np.pi * tones[:, None] * time_s), 250)[2000:-2000]
    gain = out.std(axis=0) * np.sqrt(2)
    np.testing.assert_allclose(gain[[0, 4]], 0.5, atol=0.02)
    np.testing.assert_allclose(gain[1:4], 1.0, atol=0.01)
    assert (gain[5:] < 1e-3).all()


@pytest.mark.parametrize(
    ("rate_hz", "out_hz"),
    [
        (250, 100),
        (250, 200),
        (256, 100),
        (256, 200),
        (500, 100),
        (500, 200),
        (512, 100),
        (199.8, 100),
        (128.02, 100),
        (249.994, 100),
        (250.025, 200),
        (500.00321, 100),
        (249.9999, 100),
    ],
)
def test_a_tone_stays_where_it_is_for_half_an_hour(rate_hz, out_hz):
    n = round(rate_hz * 1800)
    tone_hz = 20.0
    x = np.sin(2 * np.pi * tone_hz * np.arange(n) / rate_hz)[None]
    out = resample(x, rate_hz, SignalParams(rate_hz=out_hz))[:, 0].astype(np.float64)
    time_s = np.arange(len(out)) / out_hz
    for start_s in (10, 900, 1730):
        part = slice(start_s * out_hz, (start_s + 60) * out_hz)
        phase = np.angle(np.mean(out[part] * np.exp(-2j * np.pi * tone_hz * time_s[part]))) + np.pi / 2
        delay_samples = -phase / (2 * np.pi * tone_hz) * out_hz
        assert abs(delay_samples) < 1e-3


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4, 5, 21, 33])
def test_channels_do_not_touch_each_other(n_channels):
    # Whatever number of them is transformed at once, channel k is what it is alone.
    x = eeg_like(250, 400, n_channels)
    found = resample(x, 250, block_samples=3000)
    for k in range(n_channels):
        alone = resample(x[k : k + 1], 250, block_samples=3000)
        np.testing.assert_allclose(found[:, k], alone[:, 0], atol=1e-3)


@pytest.mark.parametrize("rate_hz", [250, 256, 100])
def test_the_result_does_not_depend_on_the_block(rate_hz):
    x = eeg_like(rate_hz, 120)
    wanted = resample(x, rate_hz)
    for block_samples in (700, 3001, 10**6):
        found = resample(x, rate_hz, block_samples=block_samples)
        assert snr_db(found, wanted) > 80
        # No seam: nowhere is the difference much larger than elsewhere.
        assert np.abs(found - wanted).max() < 2e-3 * wanted.std()


@pytest.mark.parametrize("n_channels", [2, 21, 129])
def test_samples_are_read_once_and_in_order_in_blocks_of_bounded_length(n_channels):
    lengths = {}
    for duration_s in (400, 800):
        spans = []
        n = 250 * duration_s

        def read(start, stop, spans=spans):
            spans.append((start, stop))
            return np.zeros((n_channels, stop - start), dtype=np.float32)

        sizes = [len(block) for block in BlockResampler(250, DEFAULT, n_channels).blocks(read, n)]
        assert spans[0][0] == 0
        assert spans[-1][1] == n
        assert all(a[1] == b[0] for a, b in pairwise(spans))
        lengths[duration_s] = (max(b - a for a, b in spans), max(sizes))
    assert lengths[400] == lengths[800]
    assert 4 * n_channels * lengths[400][0] < 8e6


@pytest.mark.parametrize("n_in", [0, 1, 2, 3, 40, 250, 1000, 1651, 20000])
@pytest.mark.parametrize("rate_hz", [250, 100, 256])
def test_any_length_gives_finite_samples_of_the_right_number(n_in, rate_hz):
    x = np.random.default_rng(n_in).normal(30, 20, (5, n_in))
    chain = BlockResampler(rate_hz, DEFAULT, 5)
    blocks = list(chain.blocks(lambda a, b: x[:, a:b].astype(np.float32), n_in))
    n_out = sum(len(b) for b in blocks)
    assert n_out == (int((n_in - 1) * 100 / rate_hz) + 1 if n_in else 0)
    assert all(np.isfinite(b).all() and b.shape[1] == 5 for b in blocks)
    assert all(np.abs(b).max() < 500 for b in blocks)


def test_edges_are_continued_by_reflection():
    # A slow ramp is continued as a ramp: no step, so no ringing at either edge.
    x = np.linspace(-1000, 1000, 250 * 60)[None]
    out = resample(x, 250)
    assert np.abs(out).max() < 20


def test_a_constant_is_removed_exactly():
    assert np.abs(resample(np.full((2, 5000), 170_000.0), 250)).max() == 0


def test_a_large_offset_costs_no_digits():
    # Multiples of 1/64 near 2**17 are exact in single precision: only the filter can lose digits.
    x = np.rint(eeg_like(250, 60) * 64) / 64
    np.testing.assert_array_equal(resample(x + 2**17, 250), resample(x, 250))


def test_upsampling_is_exact_as_well():
    params = SignalParams(high_hz=30)
    x = eeg_like(80, 100)
    found, wanted = resample(x, 80, params), mne_then_exact(x, 80, params)
    inside = slice(EDGE_S * 100, -EDGE_S * 100)
    assert snr_db(found[inside], wanted[: len(found)][inside]) > 80


def test_a_band_above_the_output_is_a_configuration_error():
    with pytest.raises(ConfigError, match=r"high_hz=49\.9.*rate_hz"):
        BlockResampler(250, SignalParams(high_hz=49.9), 1)


@pytest.mark.parametrize("rate_hz", [60, 90, 90.5])
def test_a_recording_too_slow_for_the_band_is_rejected(rate_hz):
    with pytest.raises(RecordingError, match="high_hz=45") as caught:
        BlockResampler(rate_hz, DEFAULT, 1)
    assert caught.value.code == "rate_too_low"


def test_channel_k_carries_tone_k_through_every_stage(tmp_path):
    path = tmp_path / "tones.edf"
    labels = [f"EEG {name}-REF" for name in ["O2", "T3", "FP1", "CZ", "EKG", "F4", "PZ", "O1", "C3", "T6"]]
    tones_hz = [5.0, 7.0, 11.0, 13.0, 17.0, 19.0, 23.0, 29.0, 31.0, 37.0]
    write_tones(path, labels, tones_hz, 40.0, 250.0, amplitude_uv=80.0, noise_uv=1.0)
    reader = open_reader(path)
    resolved = resolve_channels(reader.header.labels, "1005")
    by_name = dict(zip(["O2", "T7", "Fp1", "Cz", "EKG", "F4", "Pz", "O1", "C3", "P8"], tones_hz, strict=True))
    chain = BlockResampler(reader.header.rate_hz, DEFAULT, len(resolved.picks))
    blocks = list(chain.blocks(lambda a, b: reader.read_uv(a, b, resolved.picks), reader.header.n_samples))
    scales = robust_scale_uv(blocks)
    signal = np.concatenate([quantize(block, scales)[0] for block in blocks]) * scales
    power = np.abs(np.fft.rfft(signal[500:3500], axis=0))
    peaks_hz = np.fft.rfftfreq(3000, 0.01)[power.argmax(axis=0)]
    assert dict(zip(resolved.montage.channel_names, peaks_hz.tolist(), strict=True)) == pytest.approx(
        {name: hz for name, hz in by_name.items() if name != "EKG"}
    )
    np.testing.assert_allclose(signal[500:3500].std(axis=0) * np.sqrt(2), 80.0, rtol=0.01)
