"""Blocks add up to the whole: for any length, rate, number of channels, cut of segments, with a notch and without.

``EEGFM_LENGTHS=2000 pytest tests/signal/processing/test_blocks_equal_whole.py`` draws as many signals in place of 40.
"""

import os
from itertools import pairwise
from types import SimpleNamespace

import mne
import numpy as np
import pytest

from eegfm.jobs.ingest.stream import FilteredStream
from eegfm.signal.config import SignalParams
from eegfm.signal.header import RecordingHeader, Segment
from eegfm.signal.open import open_reader
from eegfm.signal.processing.filters import BlockResampler
from whole_signal import whole_signal

N_DRAWN = int(os.environ.get("EEGFM_LENGTHS", "40"))
MAX_ERROR_UV = 0.1
MAX_VALUES = 2_000_000
"""Of one drawn signal, all channels together: long ones have few channels."""
RATES_HZ = (100, 125, 128, 128.02, 160, 199.8, 200, 249.994, 250, 250.025, 256, 400, 500, 512, 1000, 1024, 2048)


def tones(rate_hz, n_samples, n_channels, seed=0, highest_hz=40):
    """(C, T): a tone of 84 uV, a little noise and an offset on each channel, all different."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(n_samples) / rate_hz
    tones_hz, phases = rng.uniform(1, highest_hz, (n_channels, 1)), rng.uniform(0, 6, (n_channels, 1))
    noise = rng.normal(0, 5, (n_channels, n_samples))
    offsets_uv = rng.normal(0, 1000, (n_channels, 1))
    return (84 * np.sin(2 * np.pi * tones_hz * time_s + phases) + noise + offsets_uv).astype(np.float32)


def in_blocks(x, rate_hz, params, block_samples=None):
    chain = BlockResampler(rate_hz, params, len(x), block_samples)
    return np.concatenate(list(chain.blocks(lambda start, stop: x[:, start:stop], x.shape[1]))).T


def check(x, rate_hz, params, block_samples=None):
    found, wanted = in_blocks(x, rate_hz, params, block_samples), whole_signal(x.astype(np.float64), rate_hz, params)
    assert found.shape == wanted.shape
    error_uv = np.abs(found - wanted).max(axis=0)
    assert error_uv.max() < MAX_ERROR_UV, f"{error_uv.max():.2f} uV at {error_uv.argmax() / params.rate_hz:.2f} s"


@pytest.mark.parametrize("n_channels", [1, 2, 4])  # 4, 2 and 1 blocks at a time
def test_every_length_modulo_batch_and_guard(n_channels):
    params = SignalParams(low_hz=8, high_hz=20, rate_hz=50)  # kernels of 165 samples: all lengths can be tried
    chain = BlockResampler(100, params, n_channels, 164)
    spans = []

    def read(start, stop):
        spans.append((start, stop))
        return np.zeros((n_channels, stop - start), dtype=np.float32)

    list(chain.blocks(read, 10_000))
    batch = spans[1][1] - spans[1][0]
    x = tones(100, 164 * 4 + 2 * batch, n_channels, highest_hz=20)
    for n_samples in range(x.shape[1] - batch, x.shape[1]):
        check(x[:, :n_samples], 100, params, 164)


@pytest.mark.parametrize("duration_s", [44, 30.7, 61.2, 124.5, 125, 181.3])
@pytest.mark.parametrize("n_channels", [3, 32])
def test_lengths_of_which_the_end_was_once_misplaced(duration_s, n_channels):
    for rate_hz in (160, 250):
        check(tones(rate_hz, round(rate_hz * duration_s), n_channels), rate_hz, SignalParams())


@pytest.mark.parametrize("seed", range(N_DRAWN))
def test_any_signal(seed):
    rng = np.random.default_rng(seed)
    rate_hz = RATES_HZ[seed % len(RATES_HZ)]
    rate_out_hz = float(rng.choice([100, 100, 125, 200]))
    high_hz = 0.45 * min(rate_hz, rate_out_hz)
    notch_hz = rng.choice([None, 50.0, 60.0])
    if notch_hz and abs((rate_hz / 2 + 1.5) % notch_hz) < 3:
        notch_hz = None  # MNE has no notch at half the rate
    params = SignalParams(rate_hz=rate_out_hz, high_hz=high_hz, low_hz=rng.choice([0.5, 1.0]), notch_hz=notch_hz)
    n_channels = int(rng.choice([1, 2, 3, 4, 8, 19, 21, 32, 33, 64, 129], p=[0.1] * 9 + [0.05] * 2))
    n_samples = int(rate_hz * rng.uniform(4, max(12, 6000 / (n_channels + 20))))
    check(tones(rate_hz, min(n_samples, MAX_VALUES // n_channels), n_channels, seed), rate_hz, params)


@pytest.mark.parametrize("seed", range(N_DRAWN // 3))
def test_any_rate_also_close_to_a_simple_ratio(seed):
    """As measured rates are: no fraction with a denominator that could be computed with is much closer."""
    rng = np.random.default_rng(seed)
    rate_hz = float(rng.choice([100, 200, 250, 256, 300, 1000 / 3, 500, 512, 1000, 2048]))
    rate_hz *= 1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-8, -3)
    n_samples, n_channels = int(rate_hz * rng.uniform(10, 200)), int(rng.choice([1, 3, 4, 21, 40]))
    check(tones(rate_hz, min(n_samples, MAX_VALUES // n_channels), n_channels, seed), rate_hz, SignalParams())


def test_a_rate_close_to_a_simple_ratio_does_not_drift_over_a_day():
    rate_hz, tone_hz, n = 100.0001, 20.0, 100 * 3600 * 24
    chain = BlockResampler(rate_hz, SignalParams(), 1)

    def read(start, stop):
        return np.sin(2 * np.pi * tone_hz * (np.arange(start, stop) / rate_hz))[None].astype(np.float32)

    first = 0
    for block in chain.blocks(read, n):
        inside = np.arange(max(first, 2000), min(first + len(block), chain.n_out(n) - 2000))
        wanted = np.sin(2 * np.pi * tone_hz * inside / 100)
        assert np.abs(block[inside - first, 0] - wanted).max(initial=0) < 2e-3
        first += len(block)
    assert first == chain.n_out(n)


@pytest.mark.parametrize("seed", range(6))
def test_every_segment_is_stored_as_if_it_were_alone(seed, tmp_path):
    rng = np.random.default_rng(seed)
    rate_hz, params = float(rng.choice([250.0, 256.0, 128.02])), SignalParams()
    x = tones(rate_hz, int(rate_hz * 240), 4, seed)
    cuts = np.sort(rng.integers(0, x.shape[1], 5)).tolist()
    edges = [0, *cuts, x.shape[1]]
    # A gap of a second before every segment.
    segments = tuple(Segment(a, b, a / rate_hz + k) for k, (a, b) in enumerate(pairwise(edges)))
    header = RecordingHeader(tuple("ABCD"), ("uV",) * 4, rate_hz, (rate_hz,) * 4, x.shape[1], segments)
    reader = SimpleNamespace(header=header, read_uv=lambda start, stop, picks: x[picks, start:stop])
    stream = FilteredStream(reader, [2, 0, 3, 1], params, "CADB")
    scales_uv = stream.scales_uv()
    written = stream.write(tmp_path / "samples", scales_uv)
    stored = np.fromfile(tmp_path / "samples", dtype="<i2").reshape(written.n_samples, 4) * scales_uv
    kept = [s for s in segments if s.stop - s.start >= params.min_duration_s * rate_hz]
    assert len(written.segments) == len(kept)
    assert written.n_clipped == 0
    for (start, stop), segment in zip(written.segments, kept, strict=True):
        wanted = whole_signal(x[[2, 0, 3, 1], segment.start : segment.stop].astype(np.float64), rate_hz, params)
        assert np.abs(stored[start:stop] - wanted.T).max() < MAX_ERROR_UV + scales_uv.max() / 2


def test_a_recording_of_eegmmidb_equals_mne_to_its_last_sample(shared_data):
    path = shared_data / "eegmmidb" / "S001" / "S001R03.edf"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    params, reader = SignalParams(), open_reader(path)
    n_channels = 64
    chain = BlockResampler(reader.header.rate_hz, params, n_channels)
    blocks = list(chain.blocks(lambda a, b: reader.read_uv(a, b, range(n_channels)), reader.header.n_samples))
    raw = mne.io.read_raw_edf(path, preload=True, verbose="error")
    raw.filter(params.low_hz, params.high_hz, h_trans_bandwidth=5.0, verbose="error")
    raw.resample(params.rate_hz, verbose="error")
    np.testing.assert_allclose(np.concatenate(blocks).T, raw.get_data() * 1e6, atol=MAX_ERROR_UV)
