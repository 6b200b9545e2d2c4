"""Block by block equals whole: the same input, cut at random places, gives the same answer to the last bit.

The resampler has a test of its own, against an independent computation.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pybv
import pytest

from edf_files import write_edf
from eegfm.signal.open import open_reader
from eegfm.signal.processing.fingerprint import ChannelHashes
from eegfm.signal.processing.quality import DEAD_CHANNELS_RATIO, QualityWatch
from eegfm.signal.processing.quantize import quantize
from set_files import eeg_uv, fields, write_set

NAMES = ("Fp1", "Cz", "O2")


def cuts(rng: np.random.Generator, n: int, n_most: int | None = None) -> Iterator[tuple[int, int]]:
    """[start, stop) of pieces that together are [0, n): a few, many, or single samples, some of them empty."""
    n_cuts = int(rng.choice([0, 1, 3, 10, n_most or 3 * n]))
    edges = [0, *np.sort(rng.integers(0, n + 1, n_cuts)).tolist(), n]
    yield from itertools.pairwise(edges)


def recording(rng: np.random.Generator, n: int) -> np.ndarray:
    """(3, n) noise with stretches that are still, dead, clipped, coarse or not finite."""
    x = rng.normal(0, 20, (3, n)).astype(np.float32)
    if rng.random() < 0.3:
        x = np.rint(x / 4) * np.float32(4)
    for _ in range(rng.integers(0, 6)):
        a, b = np.sort(rng.integers(0, n + 1, 2))
        channels = slice(None) if rng.random() < 0.5 else rng.integers(0, 3)
        x[channels, a:b] = rng.choice(np.float32([0, 7.5, np.nan, np.inf, -np.inf]))
    if rng.random() < 0.5:
        x[rng.integers(0, 3)] = np.clip(x[0], -15, 15)
    if rng.random() < 0.5:  # single samples, the last one among them
        x[rng.integers(0, 3), [-1, rng.integers(0, n)]] = np.nan
    return x


def still_and_dead(x: np.ndarray, glance: int, start: int) -> tuple[int, list[tuple[int, int]]]:
    """Bad samples of all channels, and dead intervals, of one stretch: counted one by one."""
    bad, clean = ~np.isfinite(x), np.where(np.isfinite(x), x, 0)
    edges = [*range(0, x.shape[1] - 1, glance), x.shape[1] - 1]
    n_bad, dead = 0, []
    for a, b in itertools.pairwise(edges):
        stop = b + (b == edges[-1])
        still = [bool((channel[a : b + 1] == channel[a]).all()) for channel in clean]
        is_bad = [s or bool(channel[a:stop].any()) for s, channel in zip(still, bad, strict=True)]
        n_bad += sum(is_bad) * (b - a)
        if sum(is_bad) > DEAD_CHANNELS_RATIO * len(x):
            dead.append((start + a, start + b + 1))
    return n_bad, dead


@pytest.mark.parametrize("tens", range(15))
def test_quality_is_that_of_the_whole_signal(tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        check_quality(np.random.default_rng(seed))


def check_quality(rng: np.random.Generator) -> None:
    """Up to three stretches with gaps between them."""
    rate_hz = float(rng.choice([10, 30, 100, 256]))
    stretches, start = [], int(rng.integers(0, 9))
    for _ in range(rng.integers(1, 4)):
        stretches.append((start, recording(rng, int(rng.integers(2, 400)))))
        start += stretches[-1][1].shape[1] + int(rng.integers(1, 50))
    whole, pieces = QualityWatch(NAMES, rate_hz), QualityWatch(NAMES, rate_hz)
    for start, x in stretches:
        out = whole.add(x, start)
        parts = [pieces.add(x[:, a:b], start + a) for a, b in cuts(rng, x.shape[1])]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), out)
    assert pieces.result() == whole.result()
    np.testing.assert_array_equal(pieces.clipped_ratio, whole.clipped_ratio)
    counted = [still_and_dead(x, max(round(0.1 * rate_hz), 1), start) for start, x in stretches]
    assert pieces._n_bad.sum() == sum(n for n, _ in counted)
    assert pieces._dead == [span for _, dead in counted for span in dead]


@pytest.mark.parametrize("seed", range(8))
def test_hashes_are_those_of_the_whole_signal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = recording(rng, int(rng.integers(1, 800)))
    whole, pieces = ChannelHashes(3), ChannelHashes(3)
    for channel, samples in enumerate(x):
        whole.add(channel, samples)
    for a, b in cuts(rng, x.shape[1]):
        for channel, samples in enumerate(np.asfortranarray(x)):
            pieces.add(channel, samples[a:b])
    assert pieces.result() == whole.result()


@pytest.mark.parametrize("seed", range(8))
def test_steps_are_those_of_the_whole_signal(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding, clipping and its count; also against one division per value."""
    rng = np.random.default_rng(seed)
    monkeypatch.setattr("eegfm.signal.processing.quantize.PIECE_VALUES", int(rng.integers(1, 3000)))
    n_channels = int(rng.integers(1, 40))
    x = rng.normal(0, 50, (int(rng.integers(1, 800)), n_channels)).astype(np.float32)
    scales = rng.uniform(1e-3, 5e-3, n_channels).astype(np.float32)
    whole, n_clipped = quantize(x, scales)
    parts = [quantize(x[a:b], scales) for a, b in cuts(rng, len(x)) if a < b]
    np.testing.assert_array_equal(np.concatenate([p for p, _ in parts]), whole)
    assert sum(n for _, n in parts) == n_clipped
    steps = x.astype(np.float64) / scales
    assert np.abs(np.clip(steps, -32767, 32767) - whole).max() <= 0.5 + 1e-2
    assert abs(n_clipped - np.count_nonzero(np.abs(steps) > 32767.5)) <= 2


def _edf(folder: Path, uv: np.ndarray, **how: object) -> Path:
    rates_hz = (100.0, 100.0, 50.0, 100.0)
    signals = [uv[0], uv[1], uv[0][::2], uv[2]]
    write_edf(folder / "x.edf", signals, [*NAMES[:2], "SpO2", NAMES[2]], rates_hz, **how)
    return folder / "x.edf"


def _set(folder: Path, uv: np.ndarray, **how: object) -> Path:
    write_set(folder / "x.set", fields(NAMES, uv.shape[1], 100.0), uv, **how)
    return folder / "x.set"


def _fdt(folder: Path, uv: np.ndarray) -> Path:
    uv.T.astype("<f4").tofile(folder / "x.fdt")
    write_set(folder / "x.set", fields(NAMES, uv.shape[1], 100.0), "x.fdt")
    return folder / "x.set"


def _brainvision(folder: Path, uv: np.ndarray, kind: str) -> Path:
    pybv.write_brainvision(
        data=uv * 1e-6, sfreq=100, ch_names=list(NAMES), fname_base="x", folder_out=folder, fmt=kind, resolution=0.1
    )
    return folder / "x.vhdr"


FILES = {
    "edf": _edf,
    "bdf": lambda folder, uv: _edf(folder, uv, bits=24),
    "edf_long_records": lambda folder, uv: _edf(folder, uv, record_s=7.0),
    "set_v5": lambda folder, uv: _set(folder, uv, container="v5"),
    "set_v7": lambda folder, uv: _set(folder, uv, container="v7"),
    "set_v7.3": lambda folder, uv: _set(folder, uv, container="v7.3"),
    "fdt": _fdt,
    "brainvision_int16": lambda folder, uv: _brainvision(folder, uv, "binary_int16"),
    "brainvision_float32": lambda folder, uv: _brainvision(folder, uv, "binary_float32"),
}


@pytest.mark.parametrize("kind", FILES)
def test_pieces_of_a_file_join_to_the_whole(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any [start, stop), channels in any order, pieces shorter and longer than what is decoded at once."""
    rng = np.random.default_rng(len(kind))
    monkeypatch.setattr("eegfm.signal.edf.records.CHUNK_SAMPLES", 257)
    monkeypatch.setattr("eegfm.signal.eeglab.fdt.BLOCK_VALUES", 100)
    reader = open_reader(FILES[kind](tmp_path, eeg_uv(3, 2800, 100.0)))
    eeg = [k for k, label in enumerate(reader.header.labels) if label in NAMES]
    for _ in range(12):
        channels = rng.permutation(eeg)[: rng.integers(1, len(eeg) + 1)].tolist()
        start, stop = np.sort(rng.integers(0, reader.header.n_samples + 1, 2)).tolist()
        whole = reader.read_uv(0, reader.header.n_samples, eeg)[[eeg.index(c) for c in channels], start:stop]
        parts = [reader.read_uv(start + a, start + b, channels) for a, b in cuts(rng, stop - start, n_most=10)]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
        np.testing.assert_array_equal(reader.read_uv(start, stop, channels), whole)
