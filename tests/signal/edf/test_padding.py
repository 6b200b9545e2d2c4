"""Last records that an exporter filled up: no window touches the padding, and no recorded sample is lost."""

import warnings
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from edf_files import write_edf
from eegfm.jobs.ingest.ingest import Ingested
from eegfm.signal.config import ReadParams
from eegfm.signal.open import open_reader
from eegfm.windows.config import FixedCut, WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import expand
from set_files import TEN_TWENTY, eeg_uv
from tone_corpus import CORPUS, PARAMS, run_ingest

RATE_HZ, SCALE_UV = 256.0, 500.0
N = 15 * 256
STEP_UV = 2 * SCALE_UV / 65_535


def written(path: Path, signal_uv: NDArray[np.floating], labels: tuple[str, ...] = TEN_TWENTY) -> Path:
    bits = 24 if path.suffix == ".bdf" else 16
    write_edf(path, [*signal_uv.astype(np.float64)], labels[: len(signal_uv)], RATE_HZ, bits=bits)
    return path


def padded(signal_uv: NDArray[np.floating], n: int, fill: str) -> NDArray[np.floating]:
    """The signal, whose last n samples are replaced by what exporters write."""
    out, start = signal_uv.copy(), signal_uv.shape[1] - n
    values = {"zeros": 0.0, "lowest": -2 * SCALE_UV, "highest": 2 * SCALE_UV, "last value": out[:, start - 1 : start]}
    out[:, start:] = values[fill]
    return out


def n_cut(path: Path) -> int:
    header = open_reader(path).header
    assert header.duration_s == header.end_s == N / RATE_HZ, "side files count the padding"
    n = header.n_samples - header.segments[-1].stop
    assert header.flags == ((f"padded_s:{n / RATE_HZ:.3g}",) if n else ())
    return n


@pytest.mark.parametrize("suffix", ["edf", "bdf"])
@pytest.mark.parametrize("n_channels", [2, 19])
@pytest.mark.parametrize("fill", ["zeros", "lowest", "highest", "last value"])
def test_tails_are_cut_to_the_sample(tmp_path: Path, suffix: str, n_channels: int, fill: str) -> None:
    signal_uv = eeg_uv(n_channels, N, RATE_HZ)
    for n in (6, 13, 51, 76):
        assert n_cut(written(tmp_path / f"x.{suffix}", padded(signal_uv, n, fill))) == n


@pytest.mark.parametrize("fill", ["zeros", "lowest", "last value"])
def test_a_single_channel_needs_a_longer_tail(tmp_path: Path, fill: str) -> None:
    signal_uv = eeg_uv(1, N, RATE_HZ)
    found = [n_cut(written(tmp_path / "x.edf", padded(signal_uv, n, fill))) for n in (0, 1, 5, 13, 40)]
    assert found == [0, 0, 0, 13, 40]


@pytest.mark.parametrize("fill", ["zeros", "lowest"])
@pytest.mark.parametrize("offset_uv", [0, 200])
def test_one_sample_to_which_all_channels_jump_is_cut(tmp_path: Path, fill: str, offset_uv: float) -> None:
    for seed in range(3):
        signal_uv = eeg_uv(19, N, RATE_HZ, seed) + offset_uv
        assert [n_cut(written(tmp_path / "x.edf", padded(signal_uv, n, fill))) for n in (1, 2, 3)] == [1, 2, 3]


def coarse(step_uv: float) -> NDArray[np.floating]:
    return np.rint(eeg_uv(19, N, RATE_HZ) / step_uv) * step_uv


def held(signal_uv: NDArray[np.floating], n: int) -> NDArray[np.floating]:
    """Every n-th sample, repeated: a recording whose rate was raised by repetition."""
    return np.repeat(signal_uv[:, ::n], n, axis=1)[:, : signal_uv.shape[1]]


def still(signal_uv: NDArray[np.floating], channels: slice, n: int) -> NDArray[np.floating]:
    out = signal_uv.copy()
    out[channels, -n:] = out[channels, -n - 1 : -n]
    return out


EEG = eeg_uv(19, N, RATE_HZ)
REAL = {
    "nothing special": EEG,
    "one channel is still": still(EEG, slice(3, 4), 40),
    "all but one are still": still(EEG, slice(0, 18), 40),
    "all but one are still, which rests": still(still(EEG, slice(0, 18), 40), slice(18, 19), 1),
    "equal last two samples": still(EEG, slice(None), 1),
    "equal last three samples": still(EEG, slice(None), 2),
    "coarse": coarse(5.0),
    "coarse with equal last samples": still(coarse(5.0), slice(None), 2),
    "rate raised by repetition": held(EEG, 4),
    "rate raised by repetition, end of a hold": held(EEG, 8),
    "bursts between rests": np.where(np.arange(N) // 60 % 2, EEG, 0),
    "rests between bursts": np.where(np.arange(N) // 60 % 2, 0, EEG),
    "all channels are flat": np.zeros((19, N)),
    "fades out": EEG * np.clip((N - 1 - np.arange(N)) / 256, 0, 1),
    "a tone that ends at zero": 50 * np.sin(2 * np.pi * 8 * (N - 1 - np.arange(N)) / 256) * np.ones((19, 1)),
    "saturated for a while": np.clip(EEG * 20, -SCALE_UV, SCALE_UV),
    "one channel at rest": still(EEG[:1], slice(None), 8),
}


@pytest.mark.parametrize("name", REAL)
def test_nothing_is_cut_off_a_real_end(tmp_path: Path, name: str) -> None:
    assert n_cut(written(tmp_path / "x.edf", REAL[name])) == 0


def test_channels_that_are_flat_or_no_electrodes_have_no_say(tmp_path: Path) -> None:
    signal_uv = padded(np.concatenate([np.zeros((3, N)), eeg_uv(8, N, RATE_HZ)]), 13, "last value")
    signal_uv[0] = np.sin(np.arange(N))  # an ECG that an exporter did not fill alike
    assert n_cut(written(tmp_path / "x.edf", signal_uv, ("ECG", *TEN_TWENTY))) == 13


def test_a_longer_tail_is_a_dead_span_and_no_longer_tail_is_left_in(tmp_path: Path) -> None:
    """Whatever its length: no window touches the padding, and a short one costs no recorded sample."""
    lengths = (13, 60, 76, 77, 80, 110, 255)
    for n in lengths:
        for k, fill in enumerate(("zeros", "last value")):
            (tmp_path / "raw").mkdir(exist_ok=True)
            signal_uv = padded(eeg_uv(19, N, RATE_HZ, seed=2 * n + k), n, fill)
            written(tmp_path / "raw" / f"{n}_{fill[0]}.edf", signal_uv)
    done = run_ingest(tmp_path / "raw", tmp_path / "signals")
    assert len(done.recordings) == 2 * len(lengths)
    for row in done.recordings.itertuples():
        n = int(row.subject)
        last_s, real_s = (row.segment_stops[-1] - 1) / 100, (N - n - 1) / RATE_HZ
        assert last_s <= real_s
        is_short = any(flag.startswith("padded_s:") for flag in row.flags)
        assert is_short or "dead_spans" in row.flags
        assert is_short == (n <= 76)
        assert not is_short or last_s > real_s - 0.01
        assert not is_short or row.n_samples == int((N - n - 1) / 2.56) + 1


def windows_of(done: Ingested) -> pd.DataFrame:
    params = WindowParams(cuts={"all": FixedCut(length_s=1, stride_s=1)})
    return expand(cut_windows(done.recordings, done.events, params)[0])


@pytest.mark.parametrize("bad_annotations", [None, ()])
def test_exports_of_mne(tmp_path: Path, bad_annotations: tuple[str, ...] | None) -> None:
    """MNE notes its padding. The note takes it out; where notes take nothing out, its samples do."""
    (tmp_path / "raw").mkdir()
    n_samples = {"a_1": 7782, "b_1": 7923, "c_1": 7680, "d_1": 7932}
    for seed, (name, n) in enumerate(n_samples.items()):
        info = mne.create_info(list(TEN_TWENTY[:19]), RATE_HZ, "eeg")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = mne.io.RawArray(eeg_uv(19, n, RATE_HZ, seed) * 1e-6, info, verbose="error")
            raw.export(tmp_path / "raw" / f"{name}.edf", verbose="error")
    reading = ReadParams() if bad_annotations is None else ReadParams(bad_annotations=bad_annotations)
    params = PARAMS.model_copy(update={"reading": reading, "corpus": CORPUS})
    done = run_ingest(tmp_path / "raw", tmp_path / "signals", params)
    for row in windows_of(done).itertuples():
        assert (row.start + row.n_samples - 1) / 100 <= (n_samples[row.recording_id[-3:]] - 1) / RATE_HZ
    assert len(windows_of(done)) > 4 * 25
    assert len(done.events) == (3 if bad_annotations is None else 1)
