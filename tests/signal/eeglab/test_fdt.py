import numpy as np
import pytest

from eegfm.errors import RecordingError
from eegfm.signal.eeglab.fdt import FdtSamples
from eegfm.signal.open import open_reader
from set_files import eeg_uv, write_fdt


def code_of(path, values: np.ndarray, n_channels: int) -> str:
    """Code of the rejection of these values, in file order; empty when they are accepted."""
    values.tofile(path)
    try:
        FdtSamples(path, values.size // n_channels, n_channels)
    except RecordingError as error:
        return error.code if path.name in error.reason else f"{error} does not name the file"
    return ""


@pytest.mark.parametrize("n_channels", [2, 3, 8, 32, 129])
@pytest.mark.parametrize("rate_hz", [100.0, 500.0])
def test_swapped_axes_and_bytes_are_told_from_genuine_samples(tmp_path, n_channels, rate_hz):
    path = tmp_path / "x.fdt"
    for seed in range(3):
        signal_uv = eeg_uv(n_channels, 2500, rate_hz, seed)
        genuine = np.ascontiguousarray(signal_uv.T)
        assert code_of(path, genuine, n_channels) == ""
        assert code_of(path, genuine.astype(">f4"), n_channels) == "fdt_byte_order"
        assert code_of(path, signal_uv, n_channels) == "fdt_transposed"


def test_real_recordings_are_told_from_their_damaged_copies(tmp_path, shared_data):
    path = tmp_path / "x.fdt"
    files = [*sorted(shared_data.glob("eegmmidb/S*/*R01.edf"))[:3], *sorted(shared_data.glob("eegmat/*.edf"))[:3]]
    files.append(next(shared_data.glob("eeglab_sample/**/*.set")))
    for file in files:
        reader = open_reader(file)
        header = reader.header
        picks = [i for i, rate in enumerate(header.channel_rates_hz) if rate == header.rate_hz and header.units[i]]
        signal_uv = reader.read_uv(0, min(9000, header.n_samples), picks)
        genuine = np.ascontiguousarray(signal_uv.T)
        assert code_of(path, genuine, len(picks)) == "", file
        assert code_of(path, (genuine / 1e6).astype(np.float32), len(picks)) == "", file
        assert code_of(path, genuine.astype(">f4"), len(picks)) == "fdt_byte_order", file
        assert code_of(path, signal_uv, len(picks)) == "fdt_transposed", file


def odd_but_genuine() -> dict[str, np.ndarray]:
    """(T, C) signals of which a careless statistic says that they are transposed or swapped."""
    rng = np.random.default_rng(0)
    n_samples, n_channels = 3000, 6
    common = rng.standard_normal((n_samples, 1))
    own = rng.standard_normal((n_samples, n_channels))
    quiet_ends = np.array([0.1, 5, 5, 5, 5, 0.1])
    line = np.sin(2 * np.pi * 50 / 128 * np.arange(n_samples))[:, None]
    half_nan = np.where(np.arange(n_samples)[:, None] < 2000, np.nan, own)
    return {
        "white noise": own,
        "noise of a common reference": 50 * common + own,
        "all channels alike": np.repeat(common, n_channels, axis=1),
        "quiet first and last channel": own * quiet_ends,
        "common noise, quiet first and last channel": common * quiet_ends + 0.1 * own,
        "common noise, gains that rise and fall over the channels": common * np.sin(np.linspace(0.05, 3.1, 32)),
        "line noise": 20 * line + own,
        "alternating": 20 * (-1.0) ** np.arange(n_samples)[:, None] + own,
        "one channel alive": common * np.eye(n_channels)[2],
        "flat": np.zeros((n_samples, n_channels)),
        "constant": np.full((n_samples, n_channels), 3e-6),
        "whole numbers": np.round(5 * own),
        "volts": own * 1e-5,
        "mostly not finite": half_nan,
        "never finite": np.full((n_samples, n_channels), np.inf),
    }


@pytest.mark.parametrize("name", odd_but_genuine())
def test_odd_recordings_pass(tmp_path, name):
    signal_uv = odd_but_genuine()[name].astype("<f4")
    assert code_of(tmp_path / "x.fdt", signal_uv, signal_uv.shape[1]) == ""


def test_whole_numbers_in_the_other_byte_order_are_found(tmp_path):
    counts = np.random.default_rng(0).integers(-500, 500, (3000, 6))
    assert code_of(tmp_path / "x.fdt", counts.astype(">f4"), 6) == "fdt_byte_order"


def test_a_few_artefacts_do_not_hide_swapped_axes(tmp_path):
    signal_uv = eeg_uv(6, 3000, 250.0)
    signal_uv[2, 100:110] = 1e6, np.nan, -1e6, 1e6, np.inf, 1e6, 0, 0, 1e6, 0
    assert code_of(tmp_path / "x.fdt", np.ascontiguousarray(signal_uv.T), 6) == ""
    assert code_of(tmp_path / "x.fdt", signal_uv, 6) == "fdt_transposed"


def test_what_are_no_floats_at_all_is_rejected(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, 3000 * 6 * 4, dtype=np.uint8).view("<f4")
    assert code_of(tmp_path / "x.fdt", noise, 6) == "fdt_values"


def test_damage_far_inside_a_long_file_does_not_hide_it(tmp_path):
    """Probes are spread over the file: a genuine start does not make the rest right."""
    signal_uv = eeg_uv(8, 200_000, 250.0)
    write_fdt(tmp_path / "x.fdt", signal_uv)
    whole = np.fromfile(tmp_path / "x.fdt", "<f4")
    whole[whole.size // 4 :].byteswap(inplace=True)
    assert code_of(tmp_path / "x.fdt", whole, 8) == "fdt_values"
